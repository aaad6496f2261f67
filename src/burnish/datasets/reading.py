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

from burnish.datasets.columns import DRAW_BYTES, OTHER_LABEL, Columns
from burnish.datasets.curation import OWN_STORE
from burnish.datasets.digests import RowForm, reduced
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
    Segment,
    from_bytes,
    joined,
    to_bytes,
)
from burnish.datasets.model import Split
from burnish.datasets.turns import Actor, Codes, Queue, Spoken, same_people
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
_DRAWS: Final = 1 << 8 * DRAW_BYTES  # how many a drawing has

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

    def spoken(self, first: int, lines: Numbers) -> Spoken:
        """Return who spoke some of its lines, which are numbered from `first` on."""
        queue = Queue(
            happened=self.happened[lines],
            identities=self.identities[lines],
            lines=lines + first,
        )
        return Spoken(people=self.people, actors=self.actors[lines], queue=queue)

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
    splits = (Split.TRAIN, Split.VALIDATION)
    forms = [[RowForm(label, split) for split in splits] for label in asked.labels]
    codes = [CODE[split] for split in splits]
    holdout, validation = _drawer(asked, "holdout"), _drawer(asked, "validation")
    columns = Columns()
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
        subject = canonical(said.subject_id)
        drawn = validation(subject)
        guess = 0
        if found == 0 and label != OTHER_LABEL:
            split = int.from_bytes(drawn, "big") / _DRAWS < asked.validation
            guess = codes[split]
            sum_ += forms[label][split].element(subject, content)
        flags = CORRECTED if said.corrected else 0
        if said.selection is Selection.UNCERTAINTY:
            flags |= UNCERTAIN
        if said.source == asked.exam:
            flags |= EXAM
        if payload:
            flags |= FETCHED
        columns.add(raw, said, payload, content)
        columns.found.append(found)
        columns.flags.append(flags)
        columns.guess.append(guess)
        columns.labels.append(label)
        columns.draws.append(holdout(subject) + drawn)
    return _read(columns, shard, reduced(sum_))


def _read(columns: Columns, shard: str, sum_: int) -> Read:
    return Read(
        lines=columns.lines(shard), sum=sum_, people=tuple(columns.people), **columns.beside()
    )


def gathered(parts: Sequence[Read]) -> Read:
    """Return all lines of several reads, in their order."""
    if not parts:
        return _read(Columns(), "", 0)
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
            # What its prediction says may forbid it still.
            return (0 if said.prediction_id is None else ASK), bytes.fromhex(name), ""
    return ASK, _NO_CONTENT, payload


def _drawer(asked: Asked, purpose: str) -> Callable[[bytes], bytes]:
    """Return what draws as `splits.fraction` does, of JSON, without its last division."""
    head = canonical([asked.model, asked.epoch, purpose])[:-1] + b","
    return lambda subject: sha256(head + subject + b"]").digest()[:DRAW_BYTES]


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
