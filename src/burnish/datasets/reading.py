"""Reading: from lines of the raw log to columns, with all that each line alone can tell.

This is what a build does once for each line, and the only part of it that must see every line; it
runs in as many processes, or on as many machines, as the plan has.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from burnish.datasets.curation import OWN_STORE
from burnish.datasets.digests import element, reduced
from burnish.datasets.lines import (
    ASK,
    CODE,
    CONTENT_BYTES,
    CORRECTED,
    EXAM,
    FETCHED,
    UNCERTAIN,
    Bytes,
    Keys,
    Lines,
    Numbers,
    Said,
    Segment,
    blank,
    from_bytes,
    joined,
    key_of,
    pack,
    to_bytes,
)
from burnish.datasets.model import Reason, Row, Split
from burnish.datasets.turns import Actor, Codes, Queue, Turns, microseconds, same_people
from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.plain import Plain, plain
from burnish.feedback.ports import Parse, RawLog
from burnish.feedback.service import read
from burnish.feedback.verdict import Offsets, Verdict, verdict_of
from burnish.kernel.digest import PREFIX, canonical
from burnish.kernel.errors import InvalidInput

_URI: Final = OWN_STORE + PREFIX
_URI_LENGTH: Final = len(_URI) + 2 * CONTENT_BYTES
_HEX: Final = frozenset("0123456789abcdef")
_NO_CONTENT: Final = bytes(CONTENT_BYTES)
_DRAWS: Final = 1 << 64  # how many a drawing has
OTHER_LABEL: Final = 65_535  # what no label of the policy has

Draws = NDArray[np.float64]


class Asked(Struct, frozen=True, kw_only=True):
    """What a build must know of each line, besides what it says."""

    model: str
    labels: tuple[str, ...]
    validation: float
    epoch: int
    exam: str = ""  # the policy's `holdout_source`


@dataclass(frozen=True, kw_only=True)
class Read:
    """Lines as they were read, with what only this build needs to know of them."""

    lines: Lines
    subjects: Keys
    identities: Keys
    labels: NDArray[np.uint16]  # their number in the policy, or OTHER_LABEL
    holdout: Draws  # the subject's fraction for each purpose
    validation: Draws
    people: tuple[Actor, ...]  # each actor once
    actors: Codes  # their number among `people`
    happened: Numbers  # µs since 1970
    guess: Bytes  # the split, by code, as which a line is in `sum`; 0 if it is not in it
    sum: int

    def turns(self, first: int, lines: Numbers) -> Turns:
        """Return some of its lines by actor, numbered from `first` on."""
        queue = Queue(
            happened=self.happened[lines],
            identities=self.identities[lines],
            lines=lines + first,
        )
        return Turns.of(self.people, self.actors[lines], queue)

    def to_bytes(self) -> bytes:
        """Return it as one object, to cross from one process to another."""
        segments = [[segment.shard, segment.count] for segment in self.lines.segments]
        arrays = {name: getattr(self, name) for name in _OWN}
        arrays |= {name: getattr(self.lines, name) for name in _LINES}
        header = {"segments": segments, "sum": f"{self.sum:x}", "people": self.people}
        return to_bytes(header, arrays)

    @classmethod
    def from_bytes(cls, data: memoryview) -> "Read":
        """Return what `to_bytes` wrote."""
        header, arrays = from_bytes(data)
        segments = tuple(Segment(shard=shard, count=count) for shard, count in header["segments"])
        return cls(
            lines=Lines(segments=segments, **{name: arrays[name] for name in _LINES}),
            sum=int(header["sum"], 16),
            people=tuple(header["people"]),
            **{name: arrays[name] for name in _OWN},
        )


_OWN: Final = (
    "subjects", "identities", "labels", "holdout", "validation", "actors", "happened", "guess",
)  # fmt: skip
_LINES: Final = (
    "offset", "content", "found", "outcome", "sides", "flags", "ends", "blob",
)  # fmt: skip


def read_lines(shard: str, raws: Iterable[RawRecord], asked: Asked, parse: Parse) -> Read:
    """Return the lines that are, or may be, a model's; all are of one shard."""
    numbers = {label: number for number, label in enumerate(asked.labels)}
    holdout = _drawer(asked, "holdout")
    validation = _drawer(asked, "validation")
    columns = _Columns()
    sum_ = 0
    for raw in raws:
        said = plain(raw) or _slowly(shard, raw, parse)
        if said is None:
            columns.add_unreadable(shard, raw)
            continue
        if said.model != asked.model:
            continue
        found, content, payload = _content(said)
        label = numbers.get(said.final, OTHER_LABEL)
        drawn = validation(said.subject_id)
        guess = 0
        if found == 0 and label != OTHER_LABEL:
            split = Split.VALIDATION if _unit(drawn) < asked.validation else Split.TRAIN
            guess = CODE[split]
            row = Row(
                subject=said.subject_id,
                label=said.final,
                payload_sha256=PREFIX + content.hex(),
                split=split,
            )
            sum_ += element(row)
        columns.add(raw, said, payload, content)
        columns.marks.append(
            (
                found,
                0,
                said.corrected * CORRECTED
                + (said.selection is Selection.UNCERTAINTY) * UNCERTAIN
                + (said.source == asked.exam) * EXAM
                + (payload is not None and payload != "") * FETCHED,
                guess,
            )
        )
        columns.labels.append(label)
        columns.draws.append(holdout(said.subject_id) + drawn)
    return columns.read(shard, reduced(sum_))


class _Columns:
    """Columns while they grow."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, int, int, int]] = []  # found, outcome, flags, guess
        self.labels: list[int] = []
        self.draws: list[bytes] = []  # of holdout, then of validation, 8 bytes each
        self._offsets: list[int] = []
        self._keys: list[tuple[int, int]] = []
        self._people: dict[Actor, int] = {}
        self._spoke: list[tuple[int, int]] = []  # an actor's number, and when it happened
        self._contents: list[bytes] = []
        self._blob: list[bytes] = []

    def add(
        self, raw: RawRecord, said: Plain | Verdict, payload: str | None, content: bytes
    ) -> None:
        """Add what a line says."""
        self._offsets.append(raw.offset)
        self._keys.append((key_of(said.subject_id), key_of(said.source, said.id)))
        actor = self._people.setdefault(said.actor, len(self._people))
        self._spoke.append((actor, microseconds(said.occurred_at)))
        self._contents.append(content)
        self._blob.append(
            pack(
                Said(
                    said.source,
                    said.id,
                    said.subject_id,
                    said.final,
                    said.corrected,
                    said.occurred_at,
                    raw.received_at,
                    said.predicted,
                    said.prediction_id,
                    said.selection,
                    payload,
                    said.actor,
                )
            )
        )

    def add_unreadable(self, shard: str, raw: RawRecord) -> None:
        """Add a line that says nothing, under keys that no other line has."""
        self._offsets.append(raw.offset)
        key = key_of("", shard, str(raw.offset))
        self._keys.append((key, key))
        self._spoke.append((self._people.setdefault(None, len(self._people)), 0))
        self._contents.append(_NO_CONTENT)
        code = CODE[Reason.UNREADABLE]
        self.marks.append((code, code, 0, 0))
        self.labels.append(OTHER_LABEL)
        self.draws.append(bytes(16))
        self._blob.append(blank(raw.source, raw.id, raw.received_at))

    def read(self, shard: str, sum_: int) -> Read:
        """Return them as arrays."""
        count = len(self._offsets)
        marks = np.array(self.marks, np.uint8).reshape(count, 4)
        keys = np.array(self._keys, np.uint64).reshape(count, 2)
        draws = np.frombuffer(b"".join(self.draws), ">u8").reshape(count, 2) / _DRAWS
        spoke = np.array(self._spoke, np.int64).reshape(count, 2)
        return Read(
            lines=Lines(
                segments=(Segment(shard=shard, count=count),) if count else (),
                offset=np.array(self._offsets, np.int64),
                content=np.frombuffer(b"".join(self._contents), np.uint8).reshape(
                    count, CONTENT_BYTES
                ),
                found=marks[:, 0],
                outcome=marks[:, 1],
                sides=np.zeros(count, np.uint8),
                flags=marks[:, 2],
                ends=np.cumsum([len(one) for one in self._blob], dtype=np.int64),
                blob=np.frombuffer(b"".join(self._blob), np.uint8),
            ),
            subjects=keys[:, 0],
            identities=keys[:, 1],
            labels=np.array(self.labels, np.uint16),
            holdout=draws[:, 0],
            validation=draws[:, 1],
            people=tuple(self._people),
            actors=spoke[:, 0].astype(np.uint32),
            happened=spoke[:, 1],
            guess=marks[:, 3],
            sum=sum_,
        )


def gathered(parts: Sequence[Read]) -> Read:
    """Return all lines of several reads, in their order."""
    if not parts:
        return _Columns().read("", 0)
    people, actors = same_people([(part.people, part.actors) for part in parts])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OWN}
    columns["actors"] = actors
    return Read(
        lines=joined([part.lines for part in parts]),
        sum=reduced(sum(part.sum for part in parts)),
        people=people,
        **columns,
    )


def _slowly(shard: str, raw: RawRecord, parse: Parse) -> Verdict | None:
    try:
        return verdict_of(shard, raw, parse(raw))
    except InvalidInput:
        return None


def _content(said: Plain | Verdict) -> tuple[int, bytes, str | None]:
    """Return what is known of a line's content, the content, and the payload as it is packed."""
    payload = said.payload
    if payload is not None and len(payload) == _URI_LENGTH and payload.startswith(_URI):
        name = payload[len(_URI) :]
        if _HEX.issuperset(name):
            content = bytes.fromhex(name)
            # What its prediction says may forbid it still.
            return (0 if said.prediction_id is None else ASK), content, ""
    return ASK, _NO_CONTENT, payload


def _drawer(asked: Asked, purpose: str) -> Callable[[str], bytes]:
    """Return what draws as `splits.fraction` does, without its last division."""
    head = canonical([asked.model, asked.epoch, purpose])[:-1] + b","
    return lambda subject: sha256(head + canonical(subject) + b"]").digest()[:8]


def _unit(drawn: bytes) -> float:
    return int.from_bytes(drawn, "big") / _DRAWS


class SerialReader:
    """Port `datasets.ports.Reader` in this thread, one line after another."""

    def __init__(self, raw_log: RawLog, parse: Parse) -> None:
        self._raw_log = raw_log
        self._parse = parse

    def read(self, asked: Asked, since: Offsets, until: Offsets) -> Read:
        """Return a model's lines of a range. Raises RawLogGap."""
        return gathered(
            [
                read_lines(shard, read(self._raw_log, shard, first, end), asked, self._parse)
                for shard, first, end in ranges(since, until)
            ]
        )


def ranges(since: Offsets, until: Offsets) -> list[tuple[str, int, int]]:
    """Return the parts of shards that a build reads: shard, first offset, and end."""
    parts = ((shard, since.get(shard, 0), end) for shard, end in sorted(until.items()))
    return [(shard, first, end) for shard, first, end in parts if first < end]
