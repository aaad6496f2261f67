"""A reader of the raw log that shares no code with ours: zstandard, json, and the rules."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import obstore
import zstandard
from obstore.store import S3Store

Lines = list[dict[str, Any]]


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


def lines_of(objects: Iterable[tuple[str, bytes]]) -> Lines:
    """Return the lines of all objects by offset; each object's name must say which it holds."""
    found: Lines = []
    for key, data in objects:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            lines = [json.loads(line) for line in reader.read().splitlines()]
        first, last = key.rpartition("/")[2].removesuffix(".ndjson.zst").split("-")
        assert [line["offset"] for line in lines] == list(range(int(first), int(last) + 1)), key
        found += lines
    return sorted(found, key=lambda line: int(line["offset"]))


def check(lines: Lines, acknowledged: dict[str, str], *, others: bool = False) -> None:
    """Assert that the log holds what was acknowledged, verbatim, once, without a gap.

    With `others`, it may also hold what was sent and never acknowledged.
    """
    assert [line["offset"] for line in lines] == list(range(len(lines)))
    names = [(line["source"], line["id"]) for line in lines]
    assert len(set(names)) == len(names), "an identity is there twice"
    bodies = {line["id"]: line["body"] for line in lines}
    lost = acknowledged.keys() - bodies.keys()
    assert not lost, f"{len(lost)} acknowledged records are lost, such as {min(lost)}"
    assert {name: bodies[name] for name in acknowledged} == acknowledged
    if not others:
        assert len(bodies) == len(acknowledged)
