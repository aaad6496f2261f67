import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from burnish.adapters.objects import BadKey, BadSignature, LocalObjects
from burnish.kernel.errors import BurnishError
from burnish.kernel.objects import ObjectNotFound


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


def test_what_is_mapped_stays_so_until_it_is_deleted(objects: LocalObjects) -> None:
    objects.put("datasets/a", b"layer")
    mapped = weakref.ref(objects.map("datasets/a"))
    assert objects.map("datasets/a") is mapped()
    objects.delete("datasets/a")
    assert mapped() is None
    with pytest.raises(ObjectNotFound):
        objects.map("datasets/a")


def test_errors_of_the_store_have_codes() -> None:
    assert issubclass(BadKey, BurnishError)
    assert BadKey.code == "object.bad_key"
