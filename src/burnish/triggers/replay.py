"""Policy time travel: what a policy would have decided on the looks that were really taken.

A stored decision says what was known, from its first look (`at`) to the last one that repeated it
(`until`), so the past can be looked at again under any policy:

- As long as the same trainings have begun as in reality, the facts are the stored ones. Only if the
  proposed policy makes datasets otherwise are the corrections counted anew, as of those offsets.
- Time alone turns a decision at moments that a policy names: days have passed, a window opens.
  Those within a stored stretch are looked at too; outside of them nobody looked.
- From the first training on that begins in one of the two histories only, records are counted from
  the replayed training, which lasts as long as trainings did; that is an estimate. What people
  asked, paused and reported, and what live accuracy was, stays as it was.

Hence the policy that really held gives back the stored decisions, word by word.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from burnish.datasets.contents import Noted
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Ask, Decision, DecisionEntry, Facts, Memory, Tally
from burnish.triggers.rules import decide, next_turn

REPLAYED: Final = "replayed"  # the id of a run that only a replay began
COUNTED_LOOKS: Final = 500  # of a long history about so many are counted anew, evenly spread
_UNKNOWN_LENGTH: Final = timedelta(minutes=10)  # of a run, where none has ended yet


class Count(Protocol):
    """Counts the records of a stretch of the raw log anew."""

    def __call__(
        self,
        policy: ModelPolicy,
        *,
        since: Offsets,
        upto: Offsets,
        unknown: Sequence[str],
        noted: Noted | None,
    ) -> Tally:
        """Return what a dataset under the policy would have learnt from, by what was known."""
        ...


class Step(Struct, frozen=True, kw_only=True):
    """A decision of the replay, beside the one that was stored at that moment, if one was."""

    at: datetime
    decision: Decision
    stored: DecisionEntry | None

    @property
    def differs(self) -> bool:
        """Whether it is not, word by word, what was stored."""
        return self.stored is None or self.stored.decision != self.decision

    @property
    def turns(self) -> bool:
        """Whether it comes to something else than reality did, whatever its words."""
        if self.stored is None:
            return self.decision.fire
        return self.decision.fire != self.stored.fire or (
            self.decision.rule,
            self.decision.hold,
        ) != (self.stored.rule, self.stored.hold)


def replay(
    history: Sequence[DecisionEntry],
    policies: Callable[[DecisionEntry], ModelPolicy],
    count: Count,
    *,
    recount: Callable[[DecisionEntry], bool],
) -> Iterator[Step]:
    """Yield what would have been decided, in order of time: at every stored decision, and between.

    Args:
        history: stored decisions of one model, oldest first, none skipped. Those at the beginning
            that were stored without facts are passed over.
        policies: the policy to look at a decision's time with.
        count: counts anew.
        recount: whether the policy of a decision makes datasets otherwise than the stored one did.
    """
    known = [entry for entry in history if entry.facts is not None]
    stride = max(1, len(known) // COUNTED_LOOKS)
    story = _Story(count=count, recount=recount, run_length=_run_length(known))
    ends = [entry.at for entry in known[1:]]
    for number, entry in enumerate(known):
        policy = policies(entry)
        before = known[number - 1] if number % stride else None
        if before is not None and story.counts(entry) and _only_counts_changed(before, entry):
            continue
        yield story.step(policy, entry, entry.at, stored=True)
        end = min([entry.until, *ends[number : number + 1]])
        turn = story.next_turn(policy, entry, entry.at)
        while turn is not None and turn <= end:
            step = story.step(policy, entry, turn, stored=False)
            if step.decision.fire or story.has_turned:
                yield step
            turn = story.next_turn(policy, entry, turn)


class _Story:
    """The replayed past, as far as it has been told."""

    def __init__(
        self, *, count: Count, recount: Callable[[DecisionEntry], bool], run_length: timedelta
    ) -> None:
        self._count = count
        self._recount = recount
        self._run_length = run_length
        self._own: Memory | None = None  # None: the same trainings have begun as in reality
        self._busy_until: datetime | None = None
        self._last: Decision | None = None
        self._tallied: tuple[object, Tally] | None = None
        self.has_turned = False  # whether the last step says something else than the one before

    def counts(self, entry: DecisionEntry) -> bool:
        """Tell whether a look at this decision's time has to count anew."""
        return self._own is not None or self._recount(entry)

    def step(
        self, policy: ModelPolicy, entry: DecisionEntry, at: datetime, *, stored: bool
    ) -> Step:
        facts = self._facts(policy, entry, at)
        decision = decide(policy.trigger, facts, now=at)
        before, self._last = self._last, decision
        self.has_turned = before is None or (before.rule, before.hold) != (
            decision.rule,
            decision.hold,
        )
        fired_too = stored and entry.fire
        if self._own is not None or decision.fire != fired_too:
            self._own = Memory.after(decision, facts, at=at, offsets=entry.offsets)
            if decision.fire:
                self._busy_until = at + self._run_length
        return Step(at=at, decision=decision, stored=entry if stored else None)

    def next_turn(
        self, policy: ModelPolicy, entry: DecisionEntry, after: datetime
    ) -> datetime | None:
        turn = next_turn(policy.trigger, self._facts(policy, entry, after), after=after)
        ends = self._busy_until
        if ends is None or ends <= after:
            return turn
        return ends if turn is None else min(turn, ends)

    def _facts(self, policy: ModelPolicy, entry: DecisionEntry, at: datetime) -> Facts:
        """Return what a look at this moment would have known."""
        facts = entry.facts or Facts()
        if self._own is None:
            if not self.counts(entry):
                return facts
            return replace(facts, tally=self._tally(policy, entry, facts, _since(facts)))
        busy = self._busy_until is not None and at < self._busy_until
        facts = replace(
            facts,
            trained=self._own.trained,
            answered=self._own.answered,
            run=REPLAYED if busy else None,
            ask=_fresh(facts.ask, entry) or self._own.ask,
        )
        return replace(facts, tally=self._tally(policy, entry, facts, _since(facts)))

    def _tally(
        self, policy: ModelPolicy, entry: DecisionEntry, facts: Facts, since: Offsets
    ) -> Tally:
        asked = (policy.digest, since, entry.id)
        if self._tallied is None or self._tallied[0] != asked:
            counted = self._count(
                policy,
                since=since,
                upto=entry.offsets,
                unknown=facts.unknown,
                noted=entry.noted,
            )
            self._tallied = asked, counted
        return self._tallied[1]


def _only_counts_changed(before: DecisionEntry, entry: DecisionEntry) -> bool:
    """Tell whether a decision differs from the one before in nothing but figures."""
    if before.facts is None or entry.facts is None or entry.fire or before.fire:
        return False
    same = replace(before.facts, tally=entry.facts.tally, unknown=entry.facts.unknown)
    return same == entry.facts


def _since(facts: Facts) -> Offsets:
    return facts.trained.offsets if facts.trained else {}


def _fresh(ask: Ask | None, entry: DecisionEntry) -> Ask | None:
    """Return what a person asked at this very decision, not at one before."""
    return ask if ask is not None and ask.at == entry.at else None


def _run_length(history: Iterable[DecisionEntry]) -> timedelta:
    """Return how long runs used to last: from the decision to the first look that saw it ended."""
    lengths: list[timedelta] = []
    began: datetime | None = None
    for entry in history:
        if began is not None and entry.facts is not None and entry.facts.run is None:
            lengths.append(entry.at - began)
            began = None
        if entry.fire:
            began = entry.at
    return sorted(lengths)[len(lengths) // 2] if lengths else _UNKNOWN_LENGTH
