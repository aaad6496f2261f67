"""Accounting: a version in numbers, and how its successor's come of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from burnish.datasets.columns import OTHER_LABEL
from burnish.datasets.digests import RowForm, element, reduced, summed
from burnish.datasets.lines import (
    CODE,
    CORRECTED,
    HELD,
    NAMES,
    SPLITS,
    TRAINED,
    Addresses,
    Bytes,
    Lines,
    Mask,
    Numbers,
    differ,
    hexes,
)
from burnish.datasets.model import Row, Split
from burnish.datasets.reading import Read
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.digest import canonical
from burnish.kernel.policy import ModelPolicy

_SPLITS: Final[Mapping[int, Split]] = {CODE[split]: split for split in Split}
_HOLDOUT: Final = CODE[Split.HOLDOUT]


class Totals(Struct, frozen=True, kw_only=True):
    """A version in numbers; its successor goes on from them."""

    sum: int  # of its rows, as `digests` makes it
    counts: dict[str, dict[str, int]]  # split -> label -> examples
    left_out: dict[str, int]  # reason -> records
    effective: int  # corrections
    records: int

    @classmethod
    def none(cls, labels: Sequence[str]) -> "Totals":
        """Return the totals of no version at all."""
        counts = {split.value: dict.fromkeys(labels, 0) for split in Split}
        return cls(sum=0, counts=counts, left_out={}, effective=0, records=0)

    @property
    def held(self) -> int:
        """Examples that are held out."""
        return sum(self.counts[Split.HOLDOUT].values())

    @property
    def rows(self) -> int:
        """Examples, all told."""
        return sum(count for labels in self.counts.values() for count in labels.values())


class Change:
    """What a build adds to totals, and takes from them."""

    def __init__(self, sum_: int) -> None:
        self.sum = sum_
        self.effective = 0
        self.examples: Counter[tuple[str, str]] = Counter()
        self.left_out: Counter[str] = Counter()

    def count(self, row: Row, sign: int) -> None:
        """Add a row, or take one that was there."""
        self.sum += sign * element(row)
        self.examples[row.split, row.label] += sign

    def applied(self, totals: Totals, records: int) -> Totals:
        """Return the totals after it."""
        left_out = Counter(totals.left_out)
        left_out.update(self.left_out)
        return Totals(
            sum=reduced(totals.sum + self.sum),
            counts={
                split: {
                    label: count + self.examples[split, label] for label, count in labels.items()
                }
                for split, labels in totals.counts.items()
            },
            left_out={reason: left_out[reason] for reason in sorted(left_out) if left_out[reason]},
            effective=totals.effective + self.effective,
            records=totals.records + records,
        )


def count_new(
    change: Change,
    read: Read,
    lines: Lines,
    policy: ModelPolicy,
) -> list[Row]:
    """Count what has become of new lines; return those rows that carry no label of the policy.

    Nearly all lines are in the sum of what was read, as the row that each would be by itself; only
    for the others is a row made here.
    """
    rows = np.isin(lines.outcome, SPLITS)
    codes = np.bincount(lines.outcome[~rows], minlength=len(NAMES)).tolist()
    for name, count in zip(NAMES, codes, strict=True):
        if count:
            change.left_out[name] += count
    for code, split in _SPLITS.items():
        labels = np.bincount(read.labels[lines.outcome == code], minlength=len(policy.labels))
        for label, count in zip(policy.labels, labels.tolist(), strict=False):
            change.examples[split, label] += count
    change.effective += int(effective(lines.outcome, lines.flags).sum())
    now = np.where(rows, lines.outcome, 0)
    moved = differ(lines.content, read.lines.content)
    other = np.nonzero((now != read.guess) | ((now != 0) & moved))[0]
    change.sum += summed(_texts(lines, other, now)) - summed(_texts(read.lines, other, read.guess))
    strange = np.nonzero((now != 0) & (read.labels == OTHER_LABEL))[0]
    return [
        Row(subject=said.subject, label=said.final, payload_sha256=content, split=_SPLITS[code])
        for said, content, code in zip(
            lines.said(strange),
            Addresses(lines.content, strange),
            now[strange].tolist(),
            strict=True,
        )
    ]


def _texts(lines: Lines, some: Numbers, outcome: Bytes) -> Iterator[bytes]:
    """Yield, in canonical JSON, the rows that some lines are with these outcomes of all lines."""
    some = some[outcome[some] != 0]
    forms: dict[tuple[str, int], RowForm] = {}
    for said, content, code in zip(
        lines.said(some), hexes(lines.content[some]), outcome[some].tolist(), strict=True
    ):
        form = forms.get((said.final, code))
        if form is None:
            form = forms[said.final, code] = RowForm(said.final, _SPLITS[code])
        yield form.text(canonical(said.subject), content)


def row_of(verdict: Verdict, content: str, outcome: int) -> Row | None:
    """Return the row that a verdict is with this outcome; None if it is in no split."""
    split = _SPLITS.get(outcome)
    if split is None:
        return None
    return Row(subject=verdict.subject_id, label=verdict.final, payload_sha256=content, split=split)


def effective(outcome: Bytes, flags: Bytes) -> Mask:
    """Tell which lines count as corrections: examples that correct and are not held out."""
    found: Mask = np.isin(outcome, SPLITS) & (outcome != _HOLDOUT) & (flags & CORRECTED != 0)
    return found


def marks(outcome: Bytes) -> Bytes:
    """Return the sides on which a line's subject and content are by its outcome."""
    held = np.where(outcome == _HOLDOUT, HELD, 0)
    trained = np.isin(outcome, SPLITS) & (outcome != _HOLDOUT)
    return np.where(trained, TRAINED, held).astype(np.uint8)


def beyond(lines: Lines, offsets: Offsets) -> Mask:
    """Tell which lines lie at or after the given offset of their shard."""
    ends = [offsets.get(segment.shard, 0) for segment in lines.segments]
    found: Mask = lines.offset >= np.repeat(ends, [part.count for part in lines.segments])
    return found
