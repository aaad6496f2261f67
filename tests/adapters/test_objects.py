import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from burnish.adapters.objects import BadKey, BadSignature, LocalObjects
from burnish.kernel.errors import BurnishError
from burnish.kernel.objects import ObjectConflict, ObjectNotFound


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="objects")
def _objects(tmp_path: Path, clock: Clock) -> LocalObjects:
    return LocalObjects(
        tmp_path / "objects", base_url="http://control:8400/", secret=b"k" * 32, clock=clock
    )


def test_what_is_put_can_be_got_and_is_listed_below_its_folder(objects: LocalObjects) -> None:
    for key in ("raw/b/2", "raw/b-1", "raw/b.x", "raw/b0", "other/c"):
        objects.put(key, key.encode())
    assert objects.get("raw/b/2") == b"raw/b/2"
    assert objects.exists("raw/b-1")
    assert not objects.exists("raw/b")
    assert list(objects.list("raw/")) == sorted(["raw/b/2", "raw/b-1", "raw/b.x", "raw/b0"])
    assert list(objects.list("")) == ["other/c", *objects.list("raw")]
    assert list(objects.list("none/")) == []


def test_the_same_bytes_again_are_a_no_op_and_others_a_conflict(objects: LocalObjects) -> None:
    objects.put("a", b"one")
    objects.put("a", b"one")
    with pytest.raises(ObjectConflict):
        objects.put("a", b"two")
    assert objects.get("a") == b"one"


def test_of_many_writers_with_other_bytes_exactly_one_wins(objects: LocalObjects) -> None:
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


@pytest.mark.parametrize("key", ["missing", "raw", "raw/a/below"])
def test_an_object_that_is_not_there_is_not_found(objects: LocalObjects, key: str) -> None:
    objects.put("raw/a", b"")
    with pytest.raises(ObjectNotFound):
        objects.get(key)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../secret.key", "a/../../b", "a//b", "a/", ".tmp-x", "a\0b", "a\nb"]
)
def test_a_key_that_might_lead_out_of_the_store_is_refused(objects: LocalObjects, key: str) -> None:
    for attempt in (objects.get, objects.exists, lambda k: objects.put(k, b"")):
        with pytest.raises(BadKey):
            attempt(key)
    with pytest.raises(BadKey):
        objects.presign(key, "GET", timedelta(minutes=1))


def test_a_signed_url_holds_for_its_method_key_and_time_only(
    objects: LocalObjects, clock: Clock
) -> None:
    parts = urlsplit(objects.presign("out/a+b=1", "PUT", timedelta(minutes=1)))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    key = unquote(parts.path).removeprefix("/v1/objects/")
    signature, expires = query["signature"], int(query["expires"])
    assert (parts.netloc, key, query["method"]) == ("control:8400", "out/a+b=1", "PUT")
    objects.verify(key, method="PUT", expires=expires, signature=signature)

    def refused(key: str, method: str, expires: int, signature: str) -> None:
        with pytest.raises(BadSignature):
            objects.verify(key, method=method, expires=expires, signature=signature)

    refused(key, "GET", expires, signature)
    refused("out/other", "PUT", expires, signature)
    refused(key, "PUT", expires + 1, signature)
    refused(key, "PUT", expires, "é" + signature[1:])
    clock.now += timedelta(minutes=1)
    refused(key, "PUT", expires, signature)


def test_what_a_crash_left_half_written_is_not_an_object(
    objects: LocalObjects, tmp_path: Path
) -> None:
    objects.put("raw/a", b"whole")
    (tmp_path / "objects" / "raw" / ".tmp-7").write_bytes(b"ha")
    assert list(objects.list("raw/")) == ["raw/a"]


def test_errors_of_the_store_have_codes() -> None:
    assert issubclass(BadKey, BurnishError)
    assert BadKey.code == "object.bad_key"
