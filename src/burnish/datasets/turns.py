"""Turns: in which order the corrections of one actor happened.

Shares are told by it: of an actor who made too many, those count that happened first, and of those
that happened at once, the ones of the lowest identity key. So which of them count is a function of
the set, and is found in a long history without reading all that the actor ever said.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.lines import Keys, Mask, Numbers, key_of
from burnish.datasets.sorting import ordered
from burnish.feedback.verdict import Verdict

Actor = str | None  # None: whoever does not say who they are
Turn = tuple[int, int]  # when it happened, in µs since 1970, and the key of its identity
Codes = NDArray[np.uint32]  # of actors: their number in a list
Accept = Callable[[Numbers], Mask]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US_A_SECOND: Final = 1_000_000
_US_A_DAY: Final = 86_400 * _US_A_SECOND
_CHUNK: Final = 64  # lines that a walk looks at first


def microseconds(moment: datetime) -> int:
    """Return a moment in µs since 1970.

    >>> microseconds(datetime(1970, 1, 2, 0, 0, 1, tzinfo=UTC))
    86401000000
    """
    since = moment - _EPOCH
    return since.days * _US_A_DAY + since.seconds * _US_A_SECOND + since.microseconds


def turn_of(verdict: Verdict) -> Turn:
    """Return when it is a verdict's turn."""
    return microseconds(verdict.occurred_at), key_of(*verdict.identity)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Some lines and their turns."""

    happened: Numbers
    identities: Keys
    lines: Numbers

    @classmethod
    def none(cls) -> "Queue":
        """Return no lines."""
        zero = np.zeros(0, np.int64)
        return cls(happened=zero, identities=zero.astype(np.uint64), lines=zero)

    @classmethod
    def joined(cls, parts: Sequence["Queue"]) -> "Queue":
        """Return the lines of all parts, one part after the other."""
        return cls(
            happened=np.concatenate([part.happened for part in parts]),
            identities=np.concatenate([part.identities for part in parts]),
            lines=np.concatenate([part.lines for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, places: slice | Numbers | Mask) -> "Queue":
        return Queue(
            happened=self.happened[places],
            identities=self.identities[places],
            lines=self.lines[places],
        )

    def in_turn(self) -> "Queue":
        """Return the lines in the order of their turns."""
        return self[ordered(self.happened, self.identities)]

    def turn(self, place: int) -> Turn:
        """Return the turn of one line."""
        return int(self.happened[place]), int(self.identities[place])

    def walk(self, start: Turn | None, count: int, accept: Accept, *, onward: bool) -> "Queue":
        """Return, of lines in turn, the nearest ones that are accepted.

        Args:
            start: where to begin; those of this very turn are met either way. None: at the end.
            count: how many are wanted, at most.
            accept: tells which of some lines are.
            onward: whether to go towards later turns.
        """
        at = len(self) if start is None else self._place(start, after=not onward)
        found, missing, chunk = [self[:0]], count, max(count, _CHUNK)
        while missing > 0 and (at < len(self) if onward else at > 0):
            low, high = (at, at + chunk) if onward else (max(0, at - chunk), at)
            some = self[low:high]
            some = some[accept(some.lines)]
            some = some[:missing] if onward else some[max(0, len(some) - missing) :]
            found.append(some)
            at, missing, chunk = high if onward else low, missing - len(some), 2 * chunk
        return Queue.joined(found if onward else found[::-1])

    def _place(self, turn: Turn, *, after: bool) -> int:
        """Return the place before all lines of a turn, or after them."""
        low = int(np.searchsorted(self.happened, turn[0], "left"))
        high = int(np.searchsorted(self.happened, turn[0], "right"))
        tied, key = self.identities[low:high], np.uint64(turn[1])
        return low + int(np.searchsorted(tied, key, "right" if after else "left"))


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Lines of several actors, in any order."""

    people: tuple[Actor, ...]  # nobody twice
    actors: Codes  # of each line: its number in `people`
    queue: Queue

    @classmethod
    def joined(cls, parts: Sequence["Spoken"]) -> "Spoken":
        """Return the lines of all parts."""
        people, actors = same_people([(part.people, part.actors) for part in parts])
        return cls(people=people, actors=actors, queue=Queue.joined([one.queue for one in parts]))

    def counts(self) -> dict[Actor, int]:
        """Return how many lines each actor has."""
        counts = np.bincount(self.actors, minlength=len(self.people)).tolist()
        return dict(zip(self.people, counts, strict=True))

    def of(self, people: Collection[Actor]) -> "Spoken":
        """Return the lines of some actors."""
        wanted = np.array([actor in people for actor in self.people], bool)[self.actors]
        return Spoken(people=self.people, actors=self.actors[wanted], queue=self.queue[wanted])

    def turns(self) -> "Turns":
        """Return the lines by actor, those of each in turn."""
        return Turns.of(self.people, self.actors, self.queue)


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Lines by actor, those of each in turn."""

    people: tuple[Actor, ...]
    ends: Numbers  # of each actor's part of the queue
    queue: Queue

    @classmethod
    def of(cls, people: Sequence[Actor], actors: Codes, queue: Queue) -> "Turns":
        """Return lines by actor; `actors` are numbers in `people`, who all differ."""
        present, counts = np.unique(actors, return_counts=True)
        in_turn = ordered(queue.happened, queue.identities)
        narrow = actors[in_turn].astype(np.min_scalar_type(len(people)))  # short ones sort at once
        return cls(
            people=tuple(people[actor] for actor in present.tolist()),
            ends=np.cumsum(counts, dtype=np.int64),
            queue=queue[in_turn[np.argsort(narrow, kind="stable")]],
        )

    @classmethod
    def none(cls) -> "Turns":
        """Return no lines."""
        return cls.of((), np.zeros(0, np.uint32), Queue.none())

    @classmethod
    def joined(cls, parts: Sequence["Turns"]) -> "Turns":
        """Return the lines of all parts."""
        people, actors = same_people([(part.people, part.actors()) for part in parts])
        return cls.of(people, actors, Queue.joined([part.queue for part in parts]))

    def between(self, first: int, end: int) -> "Turns":
        """Return those of its lines that have these numbers."""
        kept = (self.queue.lines >= first) & (self.queue.lines < end)
        return Turns.of(self.people, self.actors()[kept], self.queue[kept])

    def by(self, actor: Actor) -> Queue:
        """Return the lines of one actor."""
        number = self._numbers.get(actor)
        if number is None:
            return self.queue[:0]
        return self.queue[int(self.ends[number - 1]) if number else 0 : int(self.ends[number])]

    @cached_property
    def _numbers(self) -> dict[Actor, int]:
        return {actor: number for number, actor in enumerate(self.people)}

    def actors(self) -> Codes:
        """Return of each line its actor's number in `people`."""
        lengths = np.diff(self.ends, prepend=0)
        return np.repeat(np.arange(len(self.people), dtype=np.uint32), lengths)


def same_people(parts: Sequence[tuple[Sequence[Actor], Codes]]) -> tuple[tuple[Actor, ...], Codes]:
    """Return, of parts that number their actors each for themselves, the numbers in one list."""
    people: dict[Actor, int] = {}
    codes = [np.zeros(0, np.uint32)]
    for names, actors in parts:
        numbers = [people.setdefault(actor, len(people)) for actor in names]
        codes.append(np.array(numbers, np.uint32)[actors])
    return tuple(people), np.concatenate(codes)


def nearest(
    queues: Sequence[Queue], start: Turn | None, count: int, accept: Accept, *, onward: bool
) -> Queue:
    """Return what `Queue.walk` would of lines that lie in several queues."""
    if count <= 0 or not queues:
        return Queue.none()
    parts = [queue.walk(start, count, accept, onward=onward) for queue in queues]
    found = Queue.joined(parts).in_turn()
    return found[:count] if onward else found[max(0, len(found) - count) :]
