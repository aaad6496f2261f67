"""Policy time travel as a use case: read the stored past, replay it, and say what differs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from burnish.datasets.contents import Noted
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import ModelPolicy
from burnish.models.ports import ModelStore
from burnish.triggers.counting import count
from burnish.triggers.model import Decision, DecisionEntry, Rule, Tally
from burnish.triggers.ports import TriggerUnit
from burnish.triggers.replay import Step, replay

SHOWN = 200  # differing decisions that are told one by one, the first ones


class TravelUnit(TriggerUnit, Protocol):
    """One transaction over decisions and the policies that they were made under."""

    @property
    def models(self) -> ModelStore:
        """The policies that hold or held."""
        ...


class Training(Struct, frozen=True, kw_only=True):
    """A training that began, or would have begun."""

    at: datetime
    rule: Rule
    corrections: int
    reason: str


class Change(Struct, frozen=True, kw_only=True):
    """A moment at which the replay comes to something else than reality did."""

    at: datetime
    was: Decision | None  # None: nobody decided then
    would_be: Decision


class Travel(Struct, frozen=True, kw_only=True):
    """What a policy would have done."""

    model: str
    policy_digest: str | None  # None: each decision under the policy that held
    since: datetime | None  # first decision that was replayed; None: there is none
    until: datetime | None
    decisions: int  # stored ones, replayed
    same: int  # those that come out the same, word by word
    did: list[Training]
    would: list[Training]
    changes: list[Change]  # up to SHOWN
    changed: int  # all of them


def travel(
    unit: TravelUnit, model: str, proposed: ModelPolicy | None, *, since: datetime
) -> Travel:
    """Replay a model's stored decisions, inside the caller's transaction; nothing is stored.

    Args:
        unit: the transaction to read in.
        model: the model's name.
        proposed: the policy to replay under; None replays each under the one that held, which
            proves that the stored decisions follow from what is stored with them.
        since: decisions that held no more by then are passed over.
    """
    history = [entry for entry in unit.decisions.history(model, since) if entry.facts is not None]
    digests = {entry.policy_digest for entry in history}
    held = {digest: unit.models.policy(digest) for digest in digests}

    def policy_of(entry: DecisionEntry) -> ModelPolicy:
        return held[entry.policy_digest] if proposed is None else proposed

    def recount(entry: DecisionEntry) -> bool:
        return counts_otherwise(held[entry.policy_digest], policy_of(entry))

    def counted(
        policy: ModelPolicy,
        *,
        since: Offsets,
        upto: Offsets,
        unknown: Sequence[str],
        noted: Noted | None,
    ) -> Tally:
        found = count(unit, policy, since=since, upto=upto, unknown=unknown, noted=noted)
        return found.tally

    steps = list(replay(history, policy_of, counted, recount=recount))
    changes = [step for step in steps if step.turns]
    return Travel(
        model=model,
        policy_digest=None if proposed is None else proposed.digest,
        since=history[0].at if history else None,
        until=history[-1].until if history else None,
        decisions=sum(step.stored is not None for step in steps),
        same=sum(not step.differs for step in steps),
        did=[_training(entry.at, entry.decision) for entry in history if entry.fire],
        would=[_training(step.at, step.decision) for step in steps if step.decision.fire],
        changes=[_change(step) for step in changes[:SHOWN]],
        changed=len(changes),
    )


def counts_otherwise(held: ModelPolicy, other: ModelPolicy) -> bool:
    """Tell whether two policies may make different datasets of the same records."""
    return (held.dataset, held.feedback, held.labels) != (
        other.dataset,
        other.feedback,
        other.labels,
    )


def _training(at: datetime, decision: Decision) -> Training:
    return Training(
        at=at,
        rule=decision.rule,
        corrections=decision.corrections,
        reason=decision.reason,
    )


def _change(step: Step) -> Change:
    was = None if step.stored is None else step.stored.decision
    return Change(at=step.at, was=was, would_be=step.decision)
