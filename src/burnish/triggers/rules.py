"""From facts, time and policy to a decision; pure, so that it can be repeated for ever after."""

from datetime import UTC, datetime, timedelta

from burnish.kernel.policy import TriggerPolicy
from burnish.triggers.model import PAUSABLE, WINDOWED, Decision, Facts, Hold, Pause, Rule
from burnish.triggers.words import sentence

_DAY = timedelta(days=1)
_POLICY = "the policy"  # who has paused, where nobody has


def decide(policy: TriggerPolicy, facts: Facts, *, now: datetime) -> Decision:
    """Decide whether to retrain.

    Of the triggers whose conditions are met the first one counts that is not paused. Pause, counts
    and days do not bind a person who asks; a run under way holds everybody, and a closed window
    those that are neither urgent nor asked for, or everybody if it is strict.

    >>> from burnish.triggers.model import Tally
    >>> decide(TriggerPolicy(), Facts(tally=Tally(effective=87)), now=datetime.now(UTC)).reason
    '87 of 100 corrections, never trained'
    """
    met = [rule for rule in Rule if _is_met(rule, policy, facts, now)]
    paused = pauses(policy, facts, now=now)
    free = [rule for rule in met if rule not in paused]
    rule = (free or met or [Rule.WAIT if facts.tally.effective else Rule.NOTHING])[0]
    hold = None
    if met:
        hold = _hold(rule, policy, facts, now) if free else Hold.PAUSED
    return Decision(
        rule=rule,
        hold=hold,
        reason=sentence(policy, facts, rule, hold, paused, now=now),
        corrections=facts.tally.effective,
    )


def pauses(policy: TriggerPolicy, facts: Facts, *, now: datetime) -> dict[Rule, Pause]:
    """Return who has paused which trigger; the policy may have paused all of them."""
    paused = {pause.trigger: pause for pause in facts.pauses}
    if policy.paused:
        for rule in PAUSABLE:
            by_policy = Pause(trigger=rule, actor=_POLICY, reason="trigger.paused = true", at=now)
            paused.setdefault(rule, by_policy)
    return paused


def next_turn(policy: TriggerPolicy, facts: Facts, *, after: datetime) -> datetime | None:
    """Return the next moment at which time alone may turn the decision; None if it never will."""
    turns = []
    if facts.trained is not None:
        turns.append(facts.trained.at + policy.min_days * _DAY)
    window = policy.opening_hours
    if window is not None:
        turns.append(window.opens_after(after))
        opening = window.opening(after)
        if opening is not None:
            turns.append(opening.closes)
    elif policy.every:
        turns.append(_midnight(after) + _DAY)
    return min((turn for turn in turns if turn > after), default=None)


def _is_met(rule: Rule, policy: TriggerPolicy, facts: Facts, now: datetime) -> bool:
    if rule is Rule.OPERATOR:
        return facts.ask is not None
    corrections = facts.tally.effective
    if corrections < 1:
        return False
    if rule is Rule.ACCURACY:
        alert = facts.alert
        return policy.accuracy and alert is not None and alert.key != facts.answered
    if rule is Rule.URGENT:
        return corrections >= policy.urgent_corrections
    if rule is Rule.CORRECTIONS:
        waited = facts.trained is None or now - facts.trained.at >= policy.min_days * _DAY
        return corrections >= policy.min_corrections and waited
    return rule is Rule.DAILY and bool(policy.every) and _is_night_due(policy, facts, now)


def _is_night_due(policy: TriggerPolicy, facts: Facts, now: datetime) -> bool:
    """Tell whether the batch of this night, or of the one to come, has not begun."""
    if facts.trained is None:
        return True
    window = policy.opening_hours
    if window is None:
        return facts.trained.at < _midnight(now)
    opening = window.opening(now)
    return opening is None or facts.trained.at < opening.opens


def _hold(rule: Rule, policy: TriggerPolicy, facts: Facts, now: datetime) -> Hold | None:
    if facts.run is not None:
        return Hold.RUN
    window = policy.opening_hours
    waits = window is not None and (policy.window_strict or rule in WINDOWED)
    if waits and window is not None and window.opening(now) is None:
        return Hold.WINDOW
    return None


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
