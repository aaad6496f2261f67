"""Rations: who is beyond their share, told anew of a version that grows.

`shares` tells it of a whole set. Here it is known of the version before how many corrections each
actor made and where the first one beyond the share stood. New ones move these places a little, and
what lies between an old place and a new one is all that changes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from burnish.datasets.layers import History
from burnish.datasets.lines import CODE, COUNTED, Mask, Numbers
from burnish.datasets.model import Reason
from burnish.datasets.shares import allowance
from burnish.datasets.turns import Actor, Queue, Spoken, Turn, nearest

_BEYOND = CODE[Reason.ACTOR_SHARE]


class Standing(Struct, frozen=True, kw_only=True):
    """An actor's corrections that curation kept in a version."""

    actor: Actor
    made: int
    beyond: Turn | None = None  # of the first one beyond the share; None: all count


@dataclass(frozen=True, kw_only=True)
class Rationed:
    """Who is beyond their share now, as far as that is decided on or changes."""

    standings: list[Standing]
    beyond: Numbers  # lines, sorted
    changed: Numbers  # lines that are not decided on but change sides of the share, sorted


@dataclass(frozen=True, kw_only=True)
class Former:
    """Corrections of the version before that are decided on anew: how many each actor made."""

    within: Counter[Actor]
    beyond: Counter[Actor]

    def all(self, actor: Actor) -> int:
        """Return how many an actor made in all."""
        return self.within[actor] + self.beyond[actor]


def rationed(
    history: History,
    share: float,
    standings: Sequence[Standing],
    *,
    former: Former,
    candidates: Spoken,
    decided: Numbers,
) -> Rationed:
    """Return who is beyond their share.

    Args:
        history: the version before.
        share: the greatest that one actor may have, of 1.
        standings: of the version before.
        former: what is decided on anew, as it was.
        candidates: the same as it is now, with what is new: what curation keeps.
        decided: lines of the history that are decided on, sorted.
    """
    was = {standing.actor: standing for standing in standings}
    before = allowance({standing.actor: standing.made for standing in standings}, share)
    counts = Counter({actor: old.made - former.all(actor) for actor, old in was.items()})
    counts.update(candidates.counts())
    made = {actor: counts[actor] for actor in sorted(counts, key=_by_name) if counts[actor]}
    most = allowance(made, share)
    capped = {
        actor
        for actor, count in made.items()
        if count > most or (actor in was and was[actor].beyond is not None)
    }
    turns = candidates.of(capped).turns()
    now: list[Standing] = []
    beyond, changed = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for actor, count in made.items():
        if actor not in capped:
            now.append(Standing(actor=actor, made=count))
            continue
        old = was.get(actor, Standing(actor=actor, made=0))
        place, over, moved = _Window(history, old, decided).cut(
            turns.by(actor),
            within=min(old.made, before) - former.within[actor],
            past=old.made - min(old.made, before) - former.beyond[actor],
            count=min(count, most),
        )
        now.append(Standing(actor=actor, made=count, beyond=place))
        beyond.append(over)
        changed.append(moved)
    return Rationed(
        standings=now,
        beyond=np.sort(np.concatenate(beyond)),
        changed=np.sort(np.concatenate(changed)),
    )


def _by_name(actor: Actor) -> tuple[bool, str]:
    return actor is not None, actor or ""


class _Window:
    """One actor's corrections around the place where those beyond the share begin."""

    def __init__(self, history: History, was: Standing, decided: Numbers) -> None:
        self._history = history
        self._queues = [layer.turns.by(was.actor) for layer in history.layers]
        self._start = was.beyond
        self._decided = decided

    def cut(
        self, candidates: Queue, *, within: int, past: int, count: int
    ) -> tuple[Turn | None, Numbers, Numbers]:
        """Return where those beyond the share begin now, which they are, and which others change.

        Args:
            candidates: those that are decided on, in turn.
            within: how many others were within the share.
            past: how many others were beyond it.
            count: how many of all are within it now.
        """
        # Wherever the candidates stand among the others, no more of these can change than that.
        back = min(max(within + len(candidates) - count, 0), within)
        onward = min(max(count - within + 1, 0), past)
        inner = nearest(self._queues, self._start, back, self._within, onward=False)
        outer = nearest(self._queues, self._start, onward, self._past, onward=True)
        window = Queue.joined([inner, outer, candidates]).in_turn()
        over = window[count - (within - back) :]
        admitted = outer.lines[~np.isin(outer.lines, over.lines)]
        expelled = inner.lines[np.isin(inner.lines, over.lines)]
        place = over.turn(0) if len(over) else None
        return place, over.lines, np.concatenate([admitted, expelled])

    def _within(self, lines: Numbers) -> Mask:
        return self._others(lines, beyond=False)

    def _past(self, lines: Numbers) -> Mask:
        return self._others(lines, beyond=True)

    def _others(self, lines: Numbers, *, beyond: bool) -> Mask:
        ascending = np.sort(lines)
        state = self._history.state(ascending)
        other = (state.sides & COUNTED != 0) & ((state.outcome == _BEYOND) == beyond)
        other &= ~np.isin(ascending, self._decided)
        found: Mask = other[np.searchsorted(ascending, lines)]
        return found
