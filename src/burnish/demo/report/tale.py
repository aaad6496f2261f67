"""What a report is told from, and what follows from that without a drawing."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from burnish.demo.answers import Answer
from burnish.demo.result import Result

SAME_S: Final = 2.0  # a moment this close to a change of its kind that callers saw is that change


class Kind(StrEnum):
    """What sort of thing happened."""

    SWAP = "swap"
    ROLLBACK = "rollback"
    KILL = "kill"
    OTHER = "other"


class Moment(Struct, frozen=True, kw_only=True):
    """A mark on the time axis."""

    at: float  # seconds, monotonic
    kind: Kind
    label: str  # a few words


class Judged(Struct, frozen=True, kw_only=True):
    """An answer whose truth the demo knows."""

    at: float  # seconds, monotonic
    right: bool
    generation: int  # that gave it


class Tale(Struct, frozen=True, kw_only=True):
    """One telling of the demo."""

    title: str
    cast: tuple[str, ...]  # sentences: where photos and verdicts come from
    result: Result
    answers: Sequence[Answer]  # the background traffic
    moments: tuple[Moment, ...] = ()  # swaps that are missing here are read off the answers
    judged: Sequence[Judged] = ()  # for the curve of right answers; empty: no such curve
    began: float = 0.0  # zero of the time axis, monotonic
    refused_evaluation: dict[str, Any] | None = None  # of the control API, whole
    command: str = "burnish demo --report DIR"  # tells it again
    told_at: datetime | None = None


class Reign(Struct, frozen=True, kw_only=True):
    """A generation's time in production, as callers saw it; seconds since the tale began."""

    generation: int
    version: str
    start: float
    end: float
    returned: bool  # this version had served before


def reigns(tale: Tale) -> list[Reign]:
    """Return who answered when, in order; a reign ends where the next begins."""
    first: dict[int, Answer] = {}
    for answer in tale.answers:
        if not answer.failed:
            seen = first.setdefault(answer.generation, answer)
            if answer.ended < seen.ended:
                first[answer.generation] = answer
    order = sorted(first.values(), key=lambda answer: answer.ended)
    if not order:
        return []
    ends = [answer.ended for answer in order[1:]]
    ends.append(max(answer.ended for answer in tale.answers))
    return [
        Reign(
            generation=answer.generation,
            version=answer.model_version,
            start=answer.ended - tale.began,
            end=end - tale.began,
            returned=answer.model_version in {other.model_version for other in order[:number]},
        )
        for number, (answer, end) in enumerate(zip(order, ends, strict=True))
    ]


def marks(tale: Tale) -> list[Moment]:
    """Return every moment in order, `at` in seconds since the tale began.

    A change of generation that no moment tells of is added, as callers saw it.
    """
    told = [
        Moment(at=moment.at - tale.began, kind=moment.kind, label=moment.label)
        for moment in tale.moments
    ]
    seen = [
        Moment(
            at=reign.start,
            kind=Kind.ROLLBACK if reign.returned else Kind.SWAP,
            label=f"rollback to {reign.version}" if reign.returned else f"swap to {reign.version}",
        )
        for reign in reigns(tale)[1:]
    ]
    unsaid = [
        change
        for change in seen
        if not any(
            moment.kind is change.kind and abs(moment.at - change.at) <= SAME_S for moment in told
        )
    ]
    return sorted([*told, *unsaid], key=lambda moment: moment.at)


def forced(tale: Tale, reign: Reign) -> bool:
    """Tell whether a reign is that of the candidate which was rolled back."""
    rollback = tale.result.rollback
    return rollback is not None and reign.version == rollback.source
