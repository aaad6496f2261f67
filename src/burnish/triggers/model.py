"""Triggers: from counts, times and policy to a decision that anyone can read; pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import TriggerPolicy

_DAY = timedelta(days=1)


class Rule(StrEnum):
    """What a decision rests on."""

    OPERATOR = "operator"  # a person asked
    URGENT = "urgent"  # so many corrections that days do not matter
    CORRECTIONS = "corrections"  # enough corrections and enough days
    ACTIVE = "active"  # a run is under way; it must end first
    PAUSED = "paused"  # the policy says not to
    WAIT = "wait"  # too few corrections or days
    NOTHING = "nothing"  # nothing to learn from since the last training


FIRING: Final = frozenset({Rule.OPERATOR, Rule.URGENT, Rule.CORRECTIONS})


class Decision(Struct, frozen=True, kw_only=True):
    """Retrain now, or not, and why."""

    fire: bool
    rule: Rule
    reason: str  # "87 of 100 corrections, 3.0 of 7 days"
    corrections: int  # effective, since the last training


class DecisionEntry(Struct, frozen=True, kw_only=True):
    """A decision as it was stored: with its moment, what it knew, and the run it started."""

    id: int
    model: str
    at: datetime
    fire: bool
    rule: Rule
    reason: str
    corrections: int
    policy_digest: str
    offsets: Offsets  # shard -> first offset that was not counted
    run: str | None

    def repeats(self, decision: Decision, policy_digest: str) -> bool:
        """Tell whether storing `decision` after this one would say nothing new."""
        same = (self.rule, self.reason, self.corrections, self.policy_digest) == (
            decision.rule,
            decision.reason,
            decision.corrections,
            policy_digest,
        )
        return same and not self.fire and not decision.fire


def decide(
    policy: TriggerPolicy,
    *,
    effective: int,
    since_last: timedelta | None,
    active_run: bool,
    operator: str | None = None,
) -> Decision:
    """Decide whether to retrain.

    Args:
        policy: the model's trigger policy.
        effective: corrections since the last training that a dataset would count.
        since_last: time since the last training began; None if there never was one, which
            satisfies any number of days.
        active_run: whether a run of this model is under way.
        operator: why a person asks for it, if one does. Pause, counts and days do not bind a
            person; an active run does.

    >>> decide(
    ...     TriggerPolicy(), effective=87, since_last=timedelta(days=3), active_run=False
    ... ).reason
    '87 of 100 corrections, 3.0 of 7 days'
    """
    counts = _counts(policy, effective, since_last)
    urgent = policy.urgent_corrections
    waited = since_last is None or since_last >= policy.min_days * _DAY
    rule, reason = Rule.WAIT, counts
    if active_run:
        rule, reason = Rule.ACTIVE, f"a run is active; {counts}"
    elif operator is not None:
        rule, reason = Rule.OPERATOR, f"asked for: {operator}; {counts}"
    elif policy.paused:
        rule, reason = Rule.PAUSED, f"paused; {counts}"
    elif effective < 1:
        rule, reason = Rule.NOTHING, f"no corrections to learn from; {counts}"
    elif effective >= urgent:
        rule, reason = Rule.URGENT, f"urgent: {effective} corrections reach {urgent}; {counts}"
    elif effective >= policy.min_corrections and waited:
        rule = Rule.CORRECTIONS
    return Decision(fire=rule in FIRING, rule=rule, reason=reason, corrections=effective)


def _counts(policy: TriggerPolicy, effective: int, since_last: timedelta | None) -> str:
    corrections = f"{effective} of {policy.min_corrections} corrections"
    if since_last is None:
        return f"{corrections}, never trained"
    # Cut, not rounded: 6.96 days must not read as "7.0 of 7" while it still waits.
    days = max(0, since_last // (_DAY / 10)) / 10
    return f"{corrections}, {days:.1f} of {policy.min_days:g} days"
