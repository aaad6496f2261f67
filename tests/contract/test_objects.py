"""Contract of `kernel.objects.Objects`: a local folder, and a bucket of a real S3 server."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.objects import BadKey, LocalObjects
from burnish.adapters.system import utc_now
from burnish.kernel.objects import ObjectConflict, ObjectNotFound, Objects


@pytest.fixture(name="objects", params=["local", "s3"])
def _objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "local":
        return LocalObjects(
            tmp_path / "objects", base_url="http://control:8400/", secret=b"k" * 32, clock=utc_now
        )
    server: Any = request.getfixturevalue("s3")
    store: Objects = server.objects(server.url())
    return store


def test_what_is_put_can_be_got_and_is_listed_below_its_folder(objects: Objects) -> None:
    for key in ("raw/b/2", "raw/b-1", "raw/b.x", "raw/b0", "other/c"):
        objects.put(key, key.encode())
    assert objects.get("raw/b/2") == b"raw/b/2"
    assert objects.exists("raw/b-1")
    assert not objects.exists("raw/b")
    assert list(objects.list("raw/")) == sorted(["raw/b/2", "raw/b-1", "raw/b.x", "raw/b0"])
    assert list(objects.list("")) == ["other/c", *objects.list("raw")]
    assert list(objects.list("none/")) == []


def test_the_same_bytes_again_are_a_no_op_and_others_a_conflict(objects: Objects) -> None:
    objects.put("a", b"one")
    objects.put("a", b"one")
    with pytest.raises(ObjectConflict):
        objects.put("a", b"two")
    assert objects.get("a") == b"one"


def test_of_many_writers_with_other_bytes_exactly_one_wins(objects: Objects) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            objects.put("contested/key", b"%d" % number * 1000)
            outcomes.append("won")
        except ObjectConflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]
    assert list(objects.list("contested/")) == ["contested/key"]


def test_what_is_deleted_is_gone_and_may_be_put_again(objects: Objects) -> None:
    objects.put("raw/a", b"one")
    objects.put("raw/b", b"two")
    for _ in range(2):
        objects.delete("raw/a")
    objects.delete("raw/never")
    assert not objects.exists("raw/a")
    assert list(objects.list("raw/")) == ["raw/b"]
    objects.put("raw/a", b"other")
    assert objects.get("raw/a") == b"other"


@pytest.mark.parametrize("key", ["missing", "raw", "raw/a/below"])
def test_an_object_that_is_not_there_is_not_found(objects: Objects, key: str) -> None:
    objects.put("raw/a", b"")
    with pytest.raises(ObjectNotFound):
        objects.get(key)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../secret.key", "a/../../b", "a//b", "a/", ".tmp-x", "a\0b", "a\nb"]
)
def test_a_key_that_might_lead_out_of_the_store_is_refused(objects: Objects, key: str) -> None:
    for attempt in (objects.get, objects.exists, lambda k: objects.put(k, b"")):
        with pytest.raises(BadKey):
            attempt(key)
    with pytest.raises(BadKey):
        objects.presign(key, "GET", timedelta(minutes=1))


def test_bytes_of_every_size_come_back_as_they_were(objects: Objects) -> None:
    for size in (0, 1, 6 << 20):  # the last is above what S3 clients like to cut in parts
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        objects.put(f"sizes/{size}", data)
        objects.put(f"sizes/{size}", data)
        assert objects.get(f"sizes/{size}") == data


def test_bytes_of_the_same_size_are_compared_too(objects: Objects) -> None:
    objects.put("a", b"one")
    with pytest.raises(ObjectConflict):
        objects.put("a", b"six")


def test_a_key_may_hold_every_sign_that_ours_do(objects: Objects) -> None:
    objects.put("raw/dt=2026-05-01/hh=10/0/a+b@c_d.zst", b"1")
    assert list(objects.list("raw/dt=2026-05-01/")) == ["raw/dt=2026-05-01/hh=10/0/a+b@c_d.zst"]
    assert objects.get("raw/dt=2026-05-01/hh=10/0/a+b@c_d.zst") == b"1"
