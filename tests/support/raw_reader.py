"""A reader of the raw log that shares no code with ours: zstandard, json, and the rules."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import obstore
import zstandard
from obstore.store import S3Store


class Line(NamedTuple):
    """What is compared of a line; a soak has millions."""

    offset: int
    source: str
    id: str
    body: bytes  # its fingerprint


def fingerprint(body: str) -> bytes:
    """Return a few bytes that stand for a body."""
    return hashlib.blake2b(body.encode(), digest_size=8).digest()


def local(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the raw log's objects in a folder, by key."""
    for path in folder.glob("raw/**/*.ndjson.zst"):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def bucket(url: str, endpoint: str) -> Iterator[tuple[str, bytes]]:
    """Yield the raw log's objects in a bucket, by key."""
    store = S3Store.from_url(
        url,
        config={
            "endpoint": endpoint,
            "access_key_id": "tests",
            "secret_access_key": "of-burnish",
            "region": "us-east-1",
        },
        client_options={"allow_http": True},
    )
    for chunk in obstore.list(store, "raw"):
        for one in chunk:
            yield one["path"], bytes(obstore.get(store, one["path"]).bytes())


def lines_of(objects: Iterable[tuple[str, bytes]]) -> list[Line]:
    """Return the lines of all objects by offset; each object's name must say which it holds."""
    found: list[Line] = []
    for key, data in objects:
        lines = list(_lines(data))
        first, last = key.rpartition("/")[2].removesuffix(".ndjson.zst").split("-")
        assert [line.offset for line in lines] == list(range(int(first), int(last) + 1)), key
        found += lines
    return sorted(found)


def check(lines: list[Line], acknowledged: dict[str, bytes], *, others: bool = False) -> None:
    """Assert that the log holds what was acknowledged, verbatim, once, without a gap.

    `acknowledged` has the fingerprints of bodies by id. With `others`, the log may also hold what
    was sent and never acknowledged.
    """
    assert [line.offset for line in lines] == list(range(len(lines)))
    bodies = {line.id: line.body for line in lines}
    assert len({(line.source, line.id) for line in lines}) == len(lines), "an identity twice"
    lost = acknowledged.keys() - bodies.keys()
    assert not lost, f"{len(lost)} acknowledged records are lost, such as {min(lost)}"
    assert all(bodies[name] == body for name, body in acknowledged.items()), "another body"
    if not others:
        assert len(bodies) == len(acknowledged)


def _lines(data: bytes) -> Iterator[Line]:
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        for text in io.TextIOWrapper(reader, encoding="utf-8", newline="\n"):
            line = json.loads(text)
            yield Line(line["offset"], line["source"], line["id"], fingerprint(line["body"]))
