"""Reading: from lines of the raw log to columns, with all that each line alone can tell.

This is what a build does once for each line, and the only part of it that must see every line; it
runs in as many processes, or on as many machines, as the plan has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.columns import SILENT, Asked, Columns, columns
from burnish.datasets.digests import reduced
from burnish.datasets.lines import (
    Bytes,
    Keys,
    Lines,
    Numbers,
    joined,
)
from burnish.datasets.stored import from_bytes, to_parts
from burnish.datasets.turns import Actor, Codes, Queue, Spoken, same_people
from burnish.feedback.model import RawRecord
from burnish.feedback.plain import Plain, plain
from burnish.feedback.ports import Parse, RawLog
from burnish.feedback.service import read
from burnish.feedback.verdict import Offsets, Verdict, verdict_of
from burnish.kernel.digest import Part
from burnish.kernel.errors import InvalidInput

Draws = NDArray[np.float64]

_AT_ONCE: Final = 2_000  # lines: few enough that memory is used again instead of asked for anew


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

    def to_parts(self) -> list[Part]:
        """Return the parts of an object as which it crosses from one process to another."""
        arrays = {name: getattr(self, name) for name in _OWN} | self.lines.arrays()
        header = {"segments": self.lines.counts(), "sum": f"{self.sum:x}", "people": self.people}
        return to_parts(header, arrays)

    @classmethod
    def from_bytes(cls, data: memoryview) -> "Read":
        """Return what `to_parts` made."""
        header, arrays = from_bytes(data)
        return cls(
            lines=Lines.of(header["segments"], arrays),
            sum=int(header["sum"], 16),
            people=tuple(header["people"]),
            **{name: arrays[name] for name in _OWN},
        )


_OWN: Final = (
    "subjects", "identities", "labels", "holdout", "validation", "actors", "happened", "guess",
)  # fmt: skip


def read_lines(shard: str, raws: Iterable[RawRecord], asked: Asked, parse: Parse) -> Read:
    """Return the lines that are, or may be, a model's; all are of one shard."""
    lines = iter(raws)
    parts = []
    while some := list(islice(lines, _AT_ONCE)):
        parts.append(_some(shard, some, asked, parse))
    return gathered(parts)


def _some(shard: str, raws: Sequence[RawRecord], asked: Asked, parse: Parse) -> Read:
    kept: list[RawRecord] = []
    words: list[Plain | Verdict] = []
    moments: list[datetime] = []
    for raw in raws:
        said, moment = plain(raw) or _slowly(shard, raw, parse)
        if said is SILENT or said.model == asked.model:
            kept.append(raw)
            words.append(said)
            moments.append(moment)
    return _read(columns(shard, kept, words, moments, asked))


def _read(found: Columns) -> Read:
    return Read(lines=found.lines, sum=found.sum, people=found.people, **found.beside)


def gathered(parts: Sequence[Read]) -> Read:
    """Return all lines of several reads, in their order."""
    if not parts:
        return _read(columns("", (), (), (), Asked(model="", labels=(), validation=0, epoch=0)))
    people, actors = same_people([(part.people, part.actors) for part in parts])
    own = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OWN}
    own["actors"] = actors
    return Read(
        lines=joined([part.lines for part in parts]),
        sum=reduced(sum(part.sum for part in parts)),
        people=people,
        **own,
    )


def _slowly(shard: str, raw: RawRecord, parse: Parse) -> tuple[Verdict, datetime]:
    try:
        said = verdict_of(shard, raw, parse(raw))
    except InvalidInput:
        said = SILENT
    return said, said.occurred_at


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
