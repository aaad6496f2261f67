"""How a group of records lies in a segment: as lines of the raw log, behind what proves them whole.

    magic 4 | crc32c 4 | length 4 | first offset 8 | received 8 | count 4 | lines

All numbers are little-endian; the length counts what follows it, the checksum covers the length
and that. A record becomes JSON once, when it comes in: sealing copies lines. What one sync makes
durable is one frame, so a frame is there as a whole or not at all, and a broken one that is
followed by a whole one is damage to what had been synced, not a torn tail. The magic holds a byte
that no UTF-8 text can, so no client can forge a frame inside a record.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import google_crc32c
import msgspec
from msgspec import Struct, field

from burnish.feedback.model import Incoming, RawRecord
from burnish.kernel.clock import EPOCH

MAGIC: Final = b"\xffBRN"
_HEAD: Final = struct.Struct("<4sI")  # magic, CRC32C
_PLACE: Final = struct.Struct("<IQqI")  # length, first offset, receive time, count
_LENGTH: Final = struct.Struct("<I")
_BEFORE: Final = _HEAD.size + _PLACE.size  # bytes of a frame before its lines
_UNCOUNTED: Final = _HEAD.size + _LENGTH.size  # bytes of a frame that its length leaves out
_HASH_BYTES: Final = 16
_HASH: Final = hashlib.blake2b(digest_size=_HASH_BYTES)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Line(Struct, frozen=True, omit_defaults=True, gc=False):
    """The members of a `RawRecord` that do not depend on its place, in their order."""

    source: str
    id: str
    content_type: str
    body: str
    ce: Mapping[str, str] = field(default_factory=dict)


_to_json = msgspec.json.Encoder().encode
_from_lines = msgspec.json.Decoder(RawRecord).decode_lines


class Identity(Struct, frozen=True, gc=False):
    """Whom a record is: by name, and by a hash that finds the name quickly but proves nothing."""

    hash: bytes  # 16 bytes
    name: bytes  # source and id, whole


class Prepared(Struct, frozen=True, gc=False):
    """All of a record that does not depend on its place in the log."""

    identity: Identity
    body: bytes  # 16-byte hash
    rest: bytes  # of its line, behind offset and time of receipt


class Frame(Struct, frozen=True, gc=False):
    """The records of one commit as the spool holds them."""

    first: int  # offset of its first record
    received_us: int  # microseconds since 1970, UTC
    count: int
    lines: bytes  # of the raw log, each with its end

    @property
    def end(self) -> int:
        """The first offset behind it."""
        return self.first + self.count

    @property
    def received_at(self) -> datetime:
        """When its records came in."""
        return _moment(self.received_us)

    def since(self, offset: int) -> "Frame":
        """Return it without what lies before an offset, which is no smaller than its first."""
        gone = offset - self.first
        *_, lines = self.lines.split(b"\n", gone)
        return Frame(offset, self.received_us, self.count - gone, lines)

    def records(self) -> list[RawRecord]:
        """Return what it holds, as the raw log will."""
        return _from_lines(self.lines)


def prepare(record: Incoming) -> Prepared:
    """Return a record ready for any place; whatever can be wrong with it shows here."""
    line = _Line(record.source, record.id, record.content_type, record.body.decode(), record.ce)
    return Prepared(
        identity_of(record.source.encode(), record.id.encode()),
        body_hash(record.body),
        _to_json(line)[1:],
    )


def microseconds(moment: datetime) -> int:
    """Return a moment as frames hold it, in µs since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def encode(records: Sequence[Prepared], *, first: int, received_us: int) -> bytes:
    """Return the bytes of a frame.

    Args:
        records: at least one.
        first: offset of the first one; the others follow.
        received_us: when they came in, in µs since 1970.
    """
    time = _to_json(_moment(received_us))
    lines = [
        b'{"offset":%d,"received_at":%b,%b\n' % (offset, time, record.rest)
        for offset, record in enumerate(records, first)
    ]
    length = _PLACE.size - _LENGTH.size + sum(map(len, lines))
    checked = b"".join((_PLACE.pack(length, first, received_us, len(records)), *lines))
    return _HEAD.pack(MAGIC, google_crc32c.value(checked)) + checked


def frame_at(data: bytes, position: int) -> tuple[Frame, int] | None:
    """Return the frame at a position and the position after it, None if none is whole there."""
    if position + _BEFORE > len(data):
        return None
    magic, check = _HEAD.unpack_from(data, position)
    length, first, received_us, count = _PLACE.unpack_from(data, position + _HEAD.size)
    end = position + _UNCOUNTED + length
    if magic != MAGIC or end < position + _BEFORE or end > len(data):
        return None
    checked = data[position + _HEAD.size : end]
    if google_crc32c.value(checked) != check:
        return None
    return Frame(first, received_us, count, checked[_PLACE.size :]), end


def frames(data: bytes, position: int = 0) -> Iterator[tuple[Frame, int]]:
    """Yield each frame and the position after it, up to the end or the first that is not whole."""
    while (found := frame_at(data, position)) is not None:
        yield found
        position = found[1]


def whole_after(data: bytes, position: int) -> int | None:
    """Return where a whole frame begins behind a position, None if none does."""
    while (position := data.find(MAGIC, position + 1)) >= 0:
        if frame_at(data, position) is not None:
            return position
    return None


def identity_of(source: bytes, id_: bytes) -> Identity:
    """Return the identity of a record: no two pairs have the same name."""
    name = _LENGTH.pack(len(source)) + source + id_
    return Identity(identity_hash(name), name)


def identity_hash(name: bytes) -> bytes:
    """Return 16 bytes that stand for an identity's name."""
    return _hash(name)


def body_hash(body: bytes) -> bytes:
    """Return 16 bytes that stand for a body."""
    return _hash(body)


def _hash(data: bytes) -> bytes:
    state = _HASH.copy()  # a new one costs as much as a short text's hash
    state.update(data)
    return state.digest()


def _moment(received_us: int) -> datetime:
    return EPOCH + received_us * _MICROSECOND
