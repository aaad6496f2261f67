"""How a record lies in a segment: magic, length, CRC32C, then offsets, time, identity and body.

    magic 4 | length 4 | crc32c 4 | offset 8 | group 8 | received 8 | identity 16 | sizes 20 | data

All numbers are little-endian. The checksum covers length and payload. The magic holds a byte that
no UTF-8 text can, so no client can forge a frame inside a record. `group` is the first offset of
the commit that wrote the frame: a broken frame followed by one of a *later* group is damage to
something that had been synced, while one followed by its own group is merely a torn tail.
"""

import hashlib
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import google_crc32c
import msgspec
from msgspec import Struct

from burnish.feedback.model import Incoming, RawRecord
from burnish.kernel.clock import EPOCH

MAGIC: Final = b"\xffBRN"
_HEAD: Final = struct.Struct("<4sII")  # magic, payload length, CRC32C
_LENGTH: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<QQq")  # offset, group, receive time
_SIZES: Final = struct.Struct("<5I")
_HASH_BYTES: Final = 16
_DATA: Final = _PLACE.size + _HASH_BYTES + _SIZES.size  # where it begins in a payload
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_ATTRIBUTES: Final = b"{}"
_attributes = msgspec.json.Decoder(dict[str, str])


class Frame(Struct, frozen=True, gc=False):
    """One record as the spool holds it."""

    offset: int
    group: int  # first offset of the commit that wrote it
    received_us: int  # microseconds since 1970, UTC
    identity: bytes  # 16-byte hash of source and id
    source: bytes
    id: bytes
    content_type: bytes
    ce: bytes  # JSON object of attributes
    body: bytes

    @property
    def received_at(self) -> datetime:
        """When it came in."""
        return EPOCH + self.received_us * _MICROSECOND

    def record(self) -> RawRecord:
        """Return it as a line of the raw log."""
        return RawRecord(
            offset=self.offset,
            received_at=self.received_at,
            source=self.source.decode(),
            id=self.id.decode(),
            content_type=self.content_type.decode(),
            body=self.body.decode(),
            ce=_attributes.decode(self.ce),
        )


class Identity(Struct, frozen=True, gc=False):
    """Whom a record is: by name, and by a hash that finds the name quickly but proves nothing."""

    hash: bytes  # 16 bytes
    name: bytes  # source and id, whole


class Prepared(Struct, frozen=True, gc=False):
    """All of a record's frame that does not depend on its place in the log."""

    identity: Identity
    body: bytes  # 16-byte hash
    rest: bytes  # of the payload, from the identity on


def prepare(record: Incoming) -> Prepared:
    """Return a record ready for any place; whatever can be wrong with it shows here."""
    source, id_ = record.source.encode(), record.id.encode()
    identity = identity_of(source, id_)
    media, body = record.content_type.encode(), record.body
    ce = msgspec.json.encode(record.ce) if record.ce else _NO_ATTRIBUTES
    sizes = _SIZES.pack(len(source), len(id_), len(media), len(ce), len(body))
    rest = b"".join((identity.hash, sizes, source, id_, media, ce, body))
    return Prepared(identity, body_hash(body), rest)


def microseconds(moment: datetime) -> int:
    """Return a moment as frames hold it, in µs since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def encode(prepared: Prepared, *, offset: int, group: int, received_us: int) -> bytes:
    """Return the bytes of a frame."""
    payload = _PLACE.pack(offset, group, received_us) + prepared.rest
    return _HEAD.pack(MAGIC, len(payload), _checksum(payload)) + payload


def frames(data: bytes, position: int = 0) -> Iterator[tuple[Frame, int]]:
    """Yield each frame and the position after it, up to the end or the first that is not whole."""
    while (found := _frame_at(data, position)) is not None:
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
        found = _frame_at(data, position)
        if found is not None and found[0].group > expected:
            return position
    return None


def identity_of(source: bytes, id_: bytes) -> Identity:
    """Return the identity of a record: no two pairs have the same name."""
    name = _LENGTH.pack(len(source)) + source + id_
    return Identity(identity_hash(name), name)


def identity_hash(name: bytes) -> bytes:
    """Return 16 bytes that stand for an identity's name."""
    return hashlib.blake2b(name, digest_size=_HASH_BYTES).digest()


def body_hash(body: bytes) -> bytes:
    """Return 16 bytes that stand for a body."""
    return hashlib.blake2b(body, digest_size=_HASH_BYTES).digest()


def _frame_at(data: bytes, position: int) -> tuple[Frame, int] | None:
    start = position + _HEAD.size
    if start > len(data):
        return None
    magic, length, checksum = _HEAD.unpack_from(data, position)
    end = start + length
    if magic != MAGIC or length < _DATA or end > len(data):
        return None
    payload = data[start:end]
    if _checksum(payload) != checksum:
        return None
    offset, group, received = _PLACE.unpack_from(payload)
    identity = payload[_PLACE.size : _PLACE.size + _HASH_BYTES]
    parts = []
    at = _DATA
    for size in _SIZES.unpack_from(payload, _PLACE.size + _HASH_BYTES):
        parts.append(payload[at : at + size])
        at += size
    return Frame(offset, group, received, identity, *parts), end


def _checksum(payload: bytes) -> int:
    head = google_crc32c.value(_LENGTH.pack(len(payload)))
    return int(google_crc32c.extend(head, payload))
