"""Sides: the ledger of who was ever on which, as lines carry it.

A line's marks say where its subject and its content have been, so that a build finds with the lines
that it touches all of the ledger that concerns them. What no line can carry, since a build was
asked for fewer lines than its parent had, is handed on as a `Ledger` of its own.
"""

from typing import Final

import numpy as np
from msgspec import structs

from burnish.datasets.layers import History
from burnish.datasets.lines import (
    CONTENT_HELD,
    CONTENT_TRAINED,
    HELD,
    SUBJECT_HELD,
    SUBJECT_TRAINED,
    TRAINED,
    Bytes,
    Lines,
    address,
)
from burnish.datasets.splits import Ledger

_SUBJECTS: Final = {SUBJECT_HELD: "held_subjects", SUBJECT_TRAINED: "trained_subjects"}
_CONTENTS: Final = {CONTENT_HELD: "held_contents", CONTENT_TRAINED: "trained_contents"}
_SETS: Final = (*_SUBJECTS.values(), *_CONTENTS.values())


def carried(lines: Lines, ledger: Ledger) -> tuple[Bytes, Ledger]:
    """Return the marks of lines by a ledger, and the ledger without what they carry."""
    sides = np.zeros(len(lines), np.uint8)
    left = {name: set(getattr(ledger, name)) for name in _SETS}
    if not any(left.values()):
        return sides, ledger
    for index, said in enumerate(lines.said(np.arange(len(lines)))):
        marks, subject = 0, said.subject
        content = address(lines.content[index]) if lines.found[index] == 0 else ""
        for table, value in ((_SUBJECTS, subject), (_CONTENTS, content)):
            for bit, name in table.items():
                if value in getattr(ledger, name):
                    marks |= bit
                    left[name].discard(value)
        sides[index] = marks
    return sides, structs.replace(ledger, **{name: frozenset(left[name]) for name in _SETS})


def ledger_of(history: History, rest: Ledger) -> Ledger:
    """Return the whole ledger: what lines carry, and the rest."""
    sets = {name: set(getattr(rest, name)) for name in _SETS}
    state = history.state(np.arange(len(history)))
    marked = np.nonzero(state.sides & (HELD | TRAINED))[0]
    for line, verdict in zip(marked.tolist(), history.verdicts(marked), strict=True):
        marks = int(state.sides[line])
        content = address(state.content[line])
        for bit, name in _SUBJECTS.items():
            if marks & bit:
                sets[name].add(verdict.subject_id)
        for bit, name in _CONTENTS.items():
            if marks & bit:
                sets[name].add(content)
    return structs.replace(rest, **{name: frozenset(found) for name, found in sets.items()})
