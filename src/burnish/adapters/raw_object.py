"""One object of the raw log: a sealed range of records as zstd-compressed NDJSON.

Processes that only read start with this, so that it imports little.
"""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec
import zstandard

from burnish.feedback.model import RawRecord
from burnish.kernel.digest import hexadecimal
from burnish.kernel.errors import Conflict

SUFFIX: Final = ".ndjson.zst"
_LEVEL: Final = 3  # zstd's default: higher levels cost the front's cores more than they save
_CONTENT_DIGITS: Final = 32  # of a digest: enough to be the only one of its name
_WINDOW: Final = 1 << 16  # bytes that are unpacked, and decoded, at a time
_DECODE: Final = msgspec.json.Decoder(RawRecord).decode_lines
_RECORDS: Final = 1000  # encoded at a time: a call for each would ask for the interpreter anew
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
    return f"{folder}/{first:020}-{last:020}{told_apart}{SUFFIX}"


def encode(records: Iterable[RawRecord]) -> bytes:
    """Return the bytes of an object: one record a line, compressed."""
    rest = iter(records)
    return compressed(map(_ENCODER.encode_lines, iter(lambda: list(islice(rest, _RECORDS)), [])))


def compressed(lines: Iterable[bytes]) -> bytes:
    """Return the bytes of an object from its lines, some at a time, each with its end."""
    sink = io.BytesIO()
    with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
        sink, closefd=False
    ) as writer:
        for some in lines:
            writer.write(some)
    return sink.getvalue()


def decode(data: bytes, *, skip: int = 0) -> Iterator[RawRecord]:
    """Yield the records of an object but the first `skip`, without unpacking all of it at once."""
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        text = io.BufferedReader(reader, _WINDOW)
        for _ in islice(text, skip):
            pass
        while some := text.read(_WINDOW) + text.readline():
            yield from _DECODE(some)
