"""The raw log on object storage: sealed ranges of records as zstd-compressed NDJSON."""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec
import zstandard
from sqlalchemy import Engine

from burnish.adapters.sql.raw_log import SqlManifest
from burnish.feedback.model import RawObject, RawRecord
from burnish.kernel.digest import digest, hexadecimal
from burnish.kernel.errors import Conflict
from burnish.kernel.objects import Objects

_LEVEL: Final = 3  # zstd's default: higher levels cost the front's cores more than they save
_CONTENT_DIGITS: Final = 32  # of a digest: enough to be the only one of its name
_LINE = msgspec.json.Decoder(RawRecord)
_ENCODER = msgspec.json.Encoder()


class RawLogDamaged(Conflict):
    """An object does not hold what its manifest row says; nothing of it may be believed."""

    code = "raw_log.damaged"


def object_key(
    shard: str, first: int, last: int, received_at: datetime, *, content: str = ""
) -> str:
    """Return the key of a sealed range, by the receive time of its first record.

    `content` is its digest where a second attempt may hold other records: an ingest shard's sealed
    file never does, a source's page may.

    >>> object_key("0", 0, 9, datetime(2026, 5, 1, 10))[:27]
    'raw/dt=2026-05-01/hh=10/0/0'
    """
    folder = f"raw/dt={received_at:%Y-%m-%d}/hh={received_at:%H}/{shard}"
    told_apart = f"-{hexadecimal(content)[:_CONTENT_DIGITS]}" if content else ""
    return f"{folder}/{first:020}-{last:020}{told_apart}.ndjson.zst"


def encode(records: Iterable[RawRecord]) -> bytes:
    """Return the bytes of an object: one record a line, compressed."""
    sink = io.BytesIO()
    with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
        sink, closefd=False
    ) as writer:
        for record in records:
            writer.write(_ENCODER.encode(record) + b"\n")
    return sink.getvalue()


def decode(data: bytes, *, skip: int = 0) -> Iterator[RawRecord]:
    """Yield the records of an object but the first `skip`, without unpacking all of it at once."""
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        for line in islice(io.BufferedReader(reader), skip, None):
            yield _LINE.decode(line)


class RawLogReader:
    """The raw log through its manifest; safe in any thread.

    It remembers the object last read, compressed: who follows the log reads it piece by piece.
    """

    def __init__(self, objects: Objects, engine: Engine) -> None:
        self._objects = objects
        self._manifest = SqlManifest(engine)
        self._last: tuple[str, bytes] = "", b""

    def end(self) -> dict[str, int]:
        """Return per shard the first offset that the log does not yet hold."""
        return self._manifest.end()

    def read(self, shard: str, first: int, end: int) -> Iterator[RawRecord]:
        """Yield the records with `first <= offset < end`, ascending. Raises RawLogDamaged."""
        for entry in self._manifest.covering(shard, first, end):
            # Offsets have no gaps, so lines can be passed over without reading them.
            for record in decode(self._checked(entry), skip=max(0, first - entry.first_offset)):
                if record.offset >= end:
                    break
                yield record

    def _checked(self, entry: RawObject) -> bytes:
        key, data = self._last
        if key != entry.sha256:
            data = self._objects.get(entry.key)
            if digest(data) != entry.sha256:
                raise RawLogDamaged(
                    f"{entry.key!r} is not what the manifest lists: restore it from a backup.",
                    key=entry.key,
                    expected=entry.sha256,
                    found=digest(data),
                )
            self._last = entry.sha256, data
        return data
