"""How a record lies in a segment: as the line that the raw log will hold, behind what finds it.

    magic 4 | crc32c 4 | length 4 | offset 8 | group 8 | received 8 | identity 16 | body 16 | line

All numbers are little-endian; the length counts what follows it, the checksum covers the length
and that. Identity and body are hashes. The line lacks its first members, offset and time of
receipt, which depend on its place: so a record is written as JSON once, and sealing copies it.
The magic holds a byte that no UTF-8 text can, so no client can forge a frame inside a record.
`group` is the first offset of the commit that wrote the frame: a broken frame followed by one of a
*later* group is damage to something that had been synced, while one followed by its own group is
merely a torn tail.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import google_crc32c
import msgspec
from msgspec import Struct

from burnish.feedback.model import Incoming
from burnish.kernel.clock import EPOCH

MAGIC: Final = b"\xffBRN"
_HEAD: Final = struct.Struct("<4sI")  # magic, CRC32C
_PLACE: Final = struct.Struct("<IQQq")  # length, offset, group, receive time
_WHOLE: Final = struct.Struct("<4sIIQQq16s16s")  # all before the line
_LENGTH: Final = struct.Struct("<I")
_HASH_BYTES: Final = 16
_HASH: Final = hashlib.blake2b(digest_size=_HASH_BYTES)
_UNCOUNTED: Final = _HEAD.size + _LENGTH.size  # bytes of a frame that its length leaves out
_SHORTEST: Final = _WHOLE.size - _UNCOUNTED  # length of a frame whose line is empty
_IN_LINE: Final = _PLACE.size + 2 * _HASH_BYTES  # where the line begins in what is checked
_MICROSECOND: Final = timedelta(microseconds=1)


class _Line(Struct, frozen=True, omit_defaults=True, gc=False):
    """The members of a `RawRecord` that do not depend on its place, in their order."""

    source: str
    id: str
    content_type: str
    body: str
    ce: Mapping[str, str] = msgspec.field(default_factory=dict)


class _Named(Struct, frozen=True, gc=False):
    source: str
    id: str


_encode_line = msgspec.json.Encoder().encode
_decode_names = msgspec.json.Decoder(_Named).decode


class Identity(Struct, frozen=True, gc=False):
    """Whom a record is: by name, and by a hash that finds the name quickly but proves nothing."""

    hash: bytes  # 16 bytes
    name: bytes  # source and id, whole


class Frame(Struct, frozen=True, gc=False):
    """One record as the spool holds it."""

    offset: int
    group: int  # first offset of the commit that wrote it
    received_us: int  # microseconds since 1970, UTC
    identity_hash: bytes  # 16 bytes
    body_hash: bytes  # 16 bytes
    rest: bytes  # of its line in the raw log, behind offset and time of receipt

    @property
    def received_at(self) -> datetime:
        """When it came in."""
        return EPOCH + self.received_us * _MICROSECOND

    @property
    def line(self) -> bytes:
        """The line of the raw log that it becomes."""
        return b'{"offset":%d,"received_at":%b,%b' % (
            self.offset,
            _json_time(self.received_us),
            self.rest,
        )

    def identity(self) -> Identity:
        """Return whom it is, by the name in its line."""
        named = _decode_names(b"{" + self.rest)
        return Identity(self.identity_hash, _name(named.source.encode(), named.id.encode()))


class Prepared(Struct, frozen=True, gc=False):
    """All of a record's frame that does not depend on its place in the log."""

    identity: Identity
    body: bytes  # 16-byte hash
    rest: bytes  # of the frame, from the identity on


def prepare(record: Incoming) -> Prepared:
    """Return a record ready for any place; whatever can be wrong with it shows here."""
    identity = identity_of(record.source.encode(), record.id.encode())
    body = body_hash(record.body)
    line = _encode_line(
        _Line(record.source, record.id, record.content_type, record.body.decode(), record.ce)
    )
    return Prepared(identity, body, identity.hash + body + line[1:])


def microseconds(moment: datetime) -> int:
    """Return a moment as frames hold it, in µs since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def encode(prepared: Prepared, *, offset: int, group: int, received_us: int) -> bytes:
    """Return the bytes of a frame."""
    rest = prepared.rest
    length = _PLACE.size - _LENGTH.size + len(rest)
    checked = _PLACE.pack(length, offset, group, received_us) + rest
    return _HEAD.pack(MAGIC, google_crc32c.value(checked)) + checked


def frame_at(data: bytes, position: int) -> tuple[Frame, int] | None:
    """Return the frame at a position and the position after it, None if none is whole there."""
    if position + _WHOLE.size > len(data):
        return None
    magic, check, length, *found = _WHOLE.unpack_from(data, position)
    end = position + _UNCOUNTED + length
    if magic != MAGIC or length < _SHORTEST or end > len(data):
        return None
    checked = data[position + _HEAD.size : end]
    if google_crc32c.value(checked) != check:
        return None
    return Frame(*found, checked[_IN_LINE:]), end


def frames(data: bytes, position: int = 0) -> Iterator[tuple[Frame, int]]:
    """Yield each frame and the position after it, up to the end or the first that is not whole."""
    while (found := frame_at(data, position)) is not None:
        yield found
        position = found[1]


def committed_after(data: bytes, position: int, expected: int) -> int | None:
    """Return where a frame lies that proves that what is broken at `position` had been synced.

    Args:
        data: a segment.
        position: of the first frame that is not whole.
        expected: the offset that it should have had.
    """
    while (position := data.find(MAGIC, position + 1)) >= 0:
        found = frame_at(data, position)
        if found is not None and found[0].group > expected:
            return position
    return None


def identity_of(source: bytes, id_: bytes) -> Identity:
    """Return the identity of a record: no two pairs have the same name."""
    name = _name(source, id_)
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


def _name(source: bytes, id_: bytes) -> bytes:
    return _LENGTH.pack(len(source)) + source + id_


@lru_cache(maxsize=1)  # a group has one time of receipt
def _json_time(received_us: int) -> bytes:
    return _encode_line(EPOCH + received_us * _MICROSECOND)
