"""A decision in one sentence, as a person would say it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from burnish.kernel.policy import TriggerPolicy
from burnish.triggers.model import Facts, Hold, Pause, Rule

# Why records did not count, after their number; {s} stands for the plural.
_LEFT_OUT: Final[Mapping[str, str]] = {
    "near_duplicate": "near-duplicate{s}",
    "contradiction": "contradiction{s}",
    "superseded": "replaced by a later verdict",
    "actor_share": "beyond one person's share",
    "held_out": "held out",
    "uncertain_in_holdout": "chosen by uncertainty, on held-out subjects",
    "trained_before": "trained on before",
    "prediction_unknown": "of an unknown prediction",
    "prediction_foreign": "of another model's prediction",
    "prediction_expired": "of a prediction too old to judge",
    "payload_missing": "without an input",
    "payload_not_stored": "not fetched yet",
    "payload_not_seen": "not looked at yet",
    "payload_not_allowed": "with an input that nobody may read",
    "payload_too_large": "with an input that is too large",
    "payload_unreadable": "with an input that is no photo",
    "erased": "erased",
}
_DAY: Final = timedelta(days=1)
_WHOLE_DAYS: Final = 2  # from so many min_days on, days are told without their tenths


def sentence(
    policy: TriggerPolicy,
    facts: Facts,
    rule: Rule,
    hold: Hold | None,
    paused: Mapping[Rule, Pause],
    *,
    now: datetime,
) -> str:
    """Return what led to a rule, what was counted, what was not, and what holds it."""
    parts = [
        _lead(policy, facts, rule),
        counts(policy, facts, now=now),
        left_out(facts),
        _held(policy, facts, hold, now=now),
        _paused(rule, hold, paused),
    ]
    return "; ".join(part for part in parts if part)


def counts(policy: TriggerPolicy, facts: Facts, *, now: datetime) -> str:
    """Return how far it is to the next training: "87 of 100 corrections, 3 of 7 days"."""
    corrections = f"{facts.tally.effective} of {policy.min_corrections} corrections"
    if facts.trained is None:
        return f"{corrections}, never trained"
    # Cut, not rounded: 6.96 days must not read as "7 of 7" while it still waits.
    step = 1.0 if policy.min_days >= _WHOLE_DAYS else 0.1
    days = max(0, (now - facts.trained.at) // (step * _DAY)) * step
    return f"{corrections}, {days:.4g} of {policy.min_days:g} days"


def left_out(facts: Facts) -> str:
    """Return how many records did not count, and why.

    >>> from burnish.triggers.model import Tally
    >>> left_out(Facts(tally=Tally(left_out={"contradiction": 3, "near_duplicate": 9})))
    '12 records did not count: 9 near-duplicates, 3 contradictions'
    """
    reasons = sorted(facts.tally.left_out.items(), key=lambda item: (-item[1], item[0]))
    total = sum(number for _, number in reasons)
    if not total:
        return ""
    said = ", ".join(
        f"{number} {_because(reason, number)}{_from(reason, facts)}" for reason, number in reasons
    )
    return f"{total} record{'s' * (total != 1)} did not count: {said}"


def _because(reason: str, number: int) -> str:
    words = _LEFT_OUT.get(reason) or reason.replace("_", " ")
    return words.format(s="s" * (number != 1))


def _from(reason: str, facts: Facts) -> str:
    """Return whom inputs are waited for from."""
    waited = reason == "payload_not_stored" and facts.tally.places
    return f" from {' and '.join(facts.tally.places)}" if waited else ""


def _lead(policy: TriggerPolicy, facts: Facts, rule: Rule) -> str:
    if facts.ask is not None and rule is Rule.OPERATOR:
        return f"asked for by {facts.ask.actor}: {facts.ask.reason}"
    if facts.alert is not None and rule is Rule.ACCURACY:
        return f"live accuracy is low: {facts.alert.reason}"
    if rule is Rule.URGENT:
        return f"urgent: {facts.tally.effective} corrections reach {policy.urgent_corrections}"
    if rule is Rule.DAILY:
        return "the nightly batch"
    return "no corrections to learn from" if rule is Rule.NOTHING else ""


def _held(policy: TriggerPolicy, facts: Facts, hold: Hold | None, *, now: datetime) -> str:
    window = policy.opening_hours
    if hold is Hold.WINDOW and window is not None:
        opens = window.local(window.opens_after(now))
        return f"waits for the window {policy.window}, which opens {opens:%Y-%m-%d %H:%M}"
    if hold is Hold.RUN:
        return f"waits for run {facts.run} to end"
    return f"run {facts.run} is under way" if facts.run else ""


def _paused(rule: Rule, hold: Hold | None, paused: Mapping[Rule, Pause]) -> str:
    """Return who holds this trigger, or which ones are held while another counts."""
    if hold is Hold.PAUSED:
        return f"paused by {paused[rule].actor}: {paused[rule].reason}"
    whys: dict[tuple[str, str], list[str]] = {}
    for pause in sorted(paused.values(), key=lambda pause: pause.trigger):
        whys.setdefault((pause.actor, pause.reason), []).append(pause.trigger)
    return "; ".join(
        f"{', '.join(names)} paused by {actor}: {reason}" for (actor, reason), names in whys.items()
    )
