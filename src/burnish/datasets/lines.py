"""Lines: the lines of the raw log that are one model's, as columns, and what became of each.

Millions of records as Python objects cost minutes and gigabytes; as a few arrays they cost seconds.
What a line says stands packed in `blob`, and is unpacked for those lines only whose subject,
content or identity somebody speaks of again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from burnish.datasets.curation import OWN_STORE
from burnish.datasets.model import Reason, Split
from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import PREFIX, Part, hexadecimal

# The codes of outcomes by name: a split, or why a line is in none. 0: not known yet.
NAMES: Final = ("", *(split.value for split in Split), *(reason.value for reason in Reason))
CODE: Final = {name: code for code, name in enumerate(NAMES)}
SPLITS: Final = np.array([CODE[split] for split in Split], np.uint8)
ASK: Final = 255  # of `found`: only predictions, or the rules of `locate`, can tell the content

CONTENT_BYTES: Final = 32
KEY_BYTES: Final = 8
SUBJECT_HELD, SUBJECT_TRAINED, CONTENT_HELD, CONTENT_TRAINED = 1, 2, 4, 8  # bits of `sides`
HELD: Final = SUBJECT_HELD | CONTENT_HELD
TRAINED: Final = SUBJECT_TRAINED | CONTENT_TRAINED
COUNTED: Final = (
    16  # of `sides` too: curation kept the correction, so that its actor's share has it
)
# Bits of `flags`. EXAM: of the policy's `holdout_source`; FETCHED: its payload lies elsewhere.
CORRECTED, UNCERTAIN, EXAM, FETCHED = 1, 2, 4, 8

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Keys = NDArray[np.uint64]
Bytes = NDArray[np.uint8]


_PER_LINE: Final = ("offset", "content", "found", "outcome", "sides", "flags")


class Said(Struct, frozen=True, array_like=True, gc=False):
    """What a line says, as it is packed: a verdict without what the columns hold."""

    source: str
    id: str
    subject: str  # empty if the line is unreadable
    final: str
    corrected: bool
    occurred_at: datetime
    received_at: datetime
    predicted: str | None
    prediction_id: str | None
    selection: Selection | None
    payload: str | None  # "" if it is the URI, in our own store, of the content
    actor: str | None


_HASHER: Final = blake2b(digest_size=KEY_BYTES)
_PACK: Final = msgspec.msgpack.Encoder()
_UNPACK: Final = msgspec.msgpack.Decoder(Said)
pack = _PACK.encode


def blank(source: str, id_: str, at: datetime) -> bytes:
    """Return, packed, a line that says nothing."""
    return pack(Said(source, id_, "", "", False, at, at, None, None, None, None, None))


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Neighbouring lines of one shard, by offset."""

    shard: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines of the raw log, numbered from 0 here, with their state."""

    segments: tuple[Segment, ...]
    offset: Numbers  # in its shard
    content: Bytes  # 32 a line: the digest of what it judges, or zeros
    found: Bytes  # 0 if there is a content, or the code of the reason why there is none
    outcome: Bytes  # code
    # On which sides its subject and its content have been, as far as this line tells; and COUNTED.
    sides: Bytes
    flags: Bytes
    ends: Numbers  # of each line's part of `blob`
    blob: Bytes

    def __len__(self) -> int:
        return len(self.offset)

    def said(self, indices: Numbers) -> Iterator[Said]:
        """Yield what some lines say."""
        starts = np.where(indices > 0, self.ends[indices - 1], 0)
        packed = self.blob.data
        for start, end in zip(starts.tolist(), self.ends[indices].tolist(), strict=True):
            yield _UNPACK.decode(packed[start:end])

    def shards_of(self, indices: Numbers) -> list[str]:
        """Return the shards of some lines."""
        ends = np.cumsum([segment.count for segment in self.segments])
        numbers = np.searchsorted(ends, indices, "right")
        return [self.segments[number].shard for number in numbers.tolist()]

    def part(self, start: int, stop: int) -> "Lines":
        """Return the lines from one number up to another."""
        segments, at = [], 0
        for segment in self.segments:
            count = min(at + segment.count, stop) - max(at, start)
            if count > 0:
                segments.append(Segment(shard=segment.shard, count=count))
            at += segment.count
        first = int(self.ends[start - 1]) if start else 0
        last = int(self.ends[stop - 1]) if stop else 0
        return Lines(
            segments=tuple(segments),
            ends=self.ends[start:stop] - first,
            blob=self.blob[first:last],
            **{name: getattr(self, name)[start:stop] for name in _PER_LINE},
        )

    def blanked(self, indices: Numbers) -> "Lines":
        """Return the lines; of what some of them said, only identity and time are left."""
        silent = self.said(indices)
        data = [blank(said.source, said.id, said.received_at) for said in silent]
        content, flags = self.content.copy(), self.flags.copy()
        content[indices], flags[indices] = 0, 0
        return replace(self._repacked(indices, data), content=content, flags=flags)

    def spelled(self, indices: Numbers) -> "Lines":
        """Return the lines; some of them name their payload themselves, whatever they judge."""
        data = []
        for index, said in zip(indices.tolist(), self.said(indices), strict=True):
            payload = said.payload
            if payload == "":
                payload = OWN_STORE + address(self.content[index])
            data.append(pack(msgspec.structs.replace(said, payload=payload)))
        return self._repacked(indices, data)

    def _repacked(self, indices: Numbers, data: Sequence[bytes]) -> "Lines":
        """Return the lines; what some of them say, in sorted order, is packed anew."""
        if not len(indices):
            return self
        lengths = np.diff(self.ends, prepend=0)
        parts: list[Bytes] = []
        at = 0
        for index, packed in zip(indices.tolist(), data, strict=True):
            end = int(self.ends[index])
            parts += [self.blob[at : end - int(lengths[index])], np.frombuffer(packed, np.uint8)]
            lengths[index] = len(packed)
            at = end
        return replace(self, ends=np.cumsum(lengths), blob=np.concatenate([*parts, self.blob[at:]]))

    def place(self, shard: str, offset: int) -> int | None:
        """Return the number of the line at a place, None if it is not among these."""
        start = 0
        for segment in self.segments:
            if segment.shard == shard:
                part = self.offset[start : start + segment.count]
                at = int(np.searchsorted(part, offset))
                if at < len(part) and part[at] == offset:
                    return start + at
            start += segment.count
        return None

    def verdicts(self, model: str, indices: Numbers) -> list[Verdict]:
        """Return what some lines say, as it was read from the log."""
        places = zip(
            self.said(indices),
            self.shards_of(indices),
            self.offset[indices].tolist(),
            Addresses(self.content[indices]),
            strict=True,
        )
        return [
            Verdict(
                source=said.source,
                id=said.id,
                shard=shard,
                offset=offset,
                model=model,
                subject_id=said.subject,
                final=said.final,
                corrected=said.corrected,
                occurred_at=said.occurred_at,
                received_at=said.received_at,
                predicted=said.predicted,
                prediction_id=said.prediction_id,
                selection=said.selection,
                payload=OWN_STORE + content if said.payload == "" else said.payload,
                actor=said.actor,
            )
            for said, shard, offset, content in places
        ]


def address(content: Bytes) -> str:
    """Return a content's digest as text."""
    return PREFIX + content.tobytes().hex()


def content_of(address: str) -> Bytes:
    """Return a content's digest as a line holds it."""
    return np.frombuffer(bytes.fromhex(hexadecimal(address)), np.uint8)


def hexes(contents: Bytes) -> Iterator[str]:
    """Yield the digests of contents in hex."""
    digits = contents.tobytes().hex()
    width = 2 * CONTENT_BYTES
    return (digits[at : at + width] for at in range(0, len(digits), width))


class Addresses(Collection[str]):
    """The digests of contents as text; a million take half a second, so it is made on demand."""

    def __init__(self, contents: Bytes) -> None:
        self._contents = contents

    def __len__(self) -> int:
        return len(self._contents)

    def __iter__(self) -> Iterator[str]:
        return (PREFIX + name for name in hexes(self._contents))

    def __contains__(self, address: object) -> bool:
        return address in self._distinct

    @cached_property
    def _distinct(self) -> frozenset[str]:
        return frozenset(self)


def key_of(*names: str) -> int:
    """Return the 64-bit key under which lines that share these names are found.

    It only finds: what is found is compared in full.
    """
    return int.from_bytes(key_bytes("\0".join(names)), "little")


def key_bytes(name: str) -> bytes:
    """Return the key of one name as bytes, the lowest first."""
    hasher = _HASHER.copy()  # takes half the time that a new one would
    hasher.update(name.encode())
    return hasher.digest()


def content_keys(content: Bytes) -> Keys:
    """Return the key of each content: the beginning of its digest."""
    return np.ascontiguousarray(content[:, :8]).view(np.uint64).ravel()


def differ(one: Bytes, other: Bytes) -> Mask:
    """Tell of two columns of contents where they are not the same."""
    found: Mask = (one.view(np.uint64) != other.view(np.uint64)).any(axis=1)
    return found


def joined(parts: Sequence[Lines]) -> Lines:
    """Return the lines of all parts, in their order."""
    ends, shift = [], 0
    for part in parts:
        ends.append(part.ends + shift)
        shift += int(part.ends[-1]) if len(part) else 0
    return replace(
        parts[0],
        segments=tuple(_neighbours(segment for part in parts for segment in part.segments)),
        ends=np.concatenate(ends),
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in (*_PER_LINE, "blob")
        },
    )


def _neighbours(segments: Iterable[Segment]) -> Iterator[Segment]:
    last: Segment | None = None
    for segment in segments:
        if last is not None and last.shard == segment.shard:
            last = replace(last, count=last.count + segment.count)
            continue
        if last is not None:
            yield last
        last = segment
    if last is not None:
        yield last


def empty() -> Lines:
    """Return no lines."""
    none = np.zeros(0, np.uint8)
    return Lines(
        segments=(),
        offset=np.zeros(0, np.int64),
        content=np.zeros((0, CONTENT_BYTES), np.uint8),
        found=none,
        outcome=none,
        sides=none,
        flags=none,
        ends=np.zeros(0, np.int64),
        blob=none,
    )


COLUMNS: Final = tuple(field.name for field in fields(Lines) if field.name != "segments")
_ALIGNMENT: Final = 64


def to_parts(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> list[Part]:
    """Return a header and arrays as the parts of one object, which can be mapped instead of read.

    The arrays themselves are not copied.
    """
    table, at = {}, 0
    parts: list[Part] = []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        gap = -at % _ALIGNMENT
        parts += [b"\0" * gap, data.data.cast("B") if data.size else b""]
        table[name] = [data.dtype.str, list(data.shape), at + gap]
        at += gap + data.nbytes
    head = msgspec.json.encode({"header": header, "arrays": table})
    head += b" " * (-(len(head) + 8) % _ALIGNMENT)
    return [len(head).to_bytes(8, "little"), head, *parts]


def from_bytes(data: memoryview) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header and the arrays of what `to_parts` made; the arrays are views of it."""
    size = int.from_bytes(data[:8], "little")
    head = msgspec.json.decode(data[8 : 8 + size])
    body = data[8 + size :]
    arrays = {}
    for name, (dtype, shape, at) in head["arrays"].items():
        count = int(np.prod(shape))
        arrays[name] = (
            np.frombuffer(body, dtype, count, at).reshape(shape)
            if count
            else np.zeros(shape, dtype)
        )
    return head["header"], arrays
