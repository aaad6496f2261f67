"""Lines: the lines of the raw log that are one model's, as columns, and what became of each.

Millions of records as Python objects cost minutes and gigabytes; as a few arrays they cost seconds.
What a line says stands packed, and is unpacked for those lines only whose subject, content or
identity somebody speaks of again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from burnish.datasets.packed import Packed
from burnish.datasets.stored import Stored
from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import PREFIX, hexadecimal

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
    packed: Packed  # what each says

    @classmethod
    def of(cls, segments: Iterable[tuple[str, int]], arrays: Mapping[str, NDArray[Any]]) -> "Lines":
        """Return the lines of shards, each with how many they are, from stored arrays."""
        return cls(
            segments=tuple(Segment(shard=shard, count=count) for shard, count in segments),
            packed=Packed(ends=arrays["ends"], pieces=(arrays["blob"],)),
            **{name: arrays[name] for name in _PER_LINE},
        )

    def arrays(self) -> dict[str, Stored]:
        """Return the arrays that `of` takes."""
        own = {name: getattr(self, name) for name in _PER_LINE}
        return own | {"ends": self.packed.ends, "blob": self.packed.pieces}

    def counts(self) -> list[tuple[str, int]]:
        """Return the shards that `of` takes."""
        return [(segment.shard, segment.count) for segment in self.segments]

    def __len__(self) -> int:
        return len(self.offset)

    def said(self, indices: Numbers) -> Iterator[Said]:
        """Return what some lines say."""
        return map(_UNPACK.decode, self.packed.read(indices))

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
        return Lines(
            segments=tuple(segments),
            packed=self.packed.part(start, stop),
            **{name: getattr(self, name)[start:stop] for name in _PER_LINE},
        )

    def blanked(self, indices: Numbers) -> "Lines":
        """Return the lines; of what some of them said, only identity and time are left."""
        silent = self.said(indices)
        data = [blank(said.source, said.id, said.received_at) for said in silent]
        content, flags = self.content.copy(), self.flags.copy()
        content[indices], flags[indices] = 0, 0
        packed = self.packed.replaced(indices, data)
        return replace(self, packed=packed, content=content, flags=flags)

    def spelled(self, indices: Numbers) -> "Lines":
        """Return the lines; some of them name their payload themselves, whatever they judge."""
        data = []
        for index, said in zip(indices.tolist(), self.said(indices), strict=True):
            payload = said.payload
            if payload == "":
                payload = OWN_STORE + address(self.content[index])
            data.append(pack(msgspec.structs.replace(said, payload=payload)))
        return replace(self, packed=self.packed.replaced(indices, data))

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
            Addresses(self.content, indices),
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
    """The digests of some contents as text; a million take half a second, so it is made late."""

    def __init__(self, contents: Bytes, some: Numbers) -> None:
        self._contents, self._some = contents, some

    def __len__(self) -> int:
        return len(self._some)

    def __iter__(self) -> Iterator[str]:
        return (PREFIX + name for name in hexes(self._contents[self._some]))

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
    return replace(
        parts[0],
        segments=tuple(_neighbours(segment for part in parts for segment in part.segments)),
        packed=Packed.joined([part.packed for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_LINE},
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
        packed=Packed.of(()),
    )
