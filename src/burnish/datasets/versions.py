"""Versions as they are read: rows and fates. That costs in proportion to all that they hold."""

from collections.abc import Iterator

import numpy as np

from burnish.datasets.layers import History
from burnish.datasets.lines import NAMES, SPLITS, address
from burnish.datasets.manifest import State, load_history, load_manifest, load_value
from burnish.datasets.model import Dataset, Fate, Reason, Row, Split
from burnish.datasets.sides import ledger_of
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Verdict
from burnish.kernel.objects import Objects

_AT_ONCE = 16_384  # lines that are Python objects at one time


def load_rows(objects: Objects, dataset: Dataset) -> list[Row]:
    """Return a version's examples, sorted by subject. Raises DatasetCorrupt."""
    return rows_of(load_history(objects, load_manifest(objects, dataset)))


def load_ledger(objects: Objects, dataset: Dataset) -> Ledger:
    """Return every side that a subject or a content was on up to a version.

    Raises DatasetCorrupt.
    """
    manifest = load_manifest(objects, dataset)
    state = load_value(objects, manifest.state, State)
    return ledger_of(load_history(objects, manifest), state.rest)


def rows_of(history: History) -> list[Row]:
    """Return the examples in a history, sorted by subject."""
    state = history.state(np.arange(len(history)))
    lines = np.nonzero(np.isin(state.outcome, SPLITS))[0]
    rows = [
        Row(
            subject=verdict.subject_id,
            label=verdict.final,
            payload_sha256=address(state.content[line]),
            split=Split(NAMES[state.outcome[line]]),
        )
        for line, verdict in zip(lines.tolist(), history.verdicts(lines), strict=True)
    ]
    return sorted(rows, key=lambda row: row.subject)


def load_fates(objects: Objects, dataset: Dataset) -> Iterator[Fate]:
    """Yield what became of each line that the build read, by place. Raises DatasetCorrupt."""
    yield from fates_of(load_history(objects, load_manifest(objects, dataset)))


def fates_of(history: History) -> Iterator[Fate]:
    """Yield what became of each line in a history, by place."""
    numbers = np.arange(len(history))
    outcome = history.state(numbers).outcome
    order = history.by_place()
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        ascending = np.sort(some)
        said = dict(zip(ascending.tolist(), history.verdicts(ascending), strict=True))
        for line in some.tolist():
            yield _fate(said[line], int(outcome[line]))


def find_fate(objects: Objects, dataset: Dataset, shard: str, offset: int) -> Fate | None:
    """Return what became of one line of the raw log; None if it is not of this dataset's model.

    Of a store on this machine's disk it reads a few pages only. Raises DatasetCorrupt.
    """
    history = load_history(objects, load_manifest(objects, dataset), check=False)
    number = history.place(shard, offset)
    if number is None:
        return None
    line = np.array([number])
    (verdict,) = history.verdicts(line)
    return _fate(verdict, int(history.state(line).outcome[0]))


def _fate(verdict: Verdict, outcome: int) -> Fate:
    split = outcome in SPLITS
    return Fate(
        shard=verdict.shard,
        offset=verdict.offset,
        source=verdict.source,
        id=verdict.id,
        subject=verdict.subject_id,
        corrected=verdict.corrected,
        split=Split(NAMES[outcome]) if split else None,
        reason=None if split else Reason(NAMES[outcome]),
    )
