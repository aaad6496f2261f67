"""Considering a model: gather facts, decide, store the decision, start the run."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from burnish.datasets.contents import Noted
from burnish.datasets.model import Reason
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.counting import Counted, count
from burnish.triggers.model import (
    PAUSABLE,
    Ask,
    Decision,
    DecisionEntry,
    Facts,
    Memory,
    Pause,
    ReasonMissing,
    Rule,
    Trained,
    UnknownTrigger,
)
from burnish.triggers.ports import TriggerUnit
from burnish.triggers.rules import decide, next_turn

# Looks that repeat a decision are noted on it so seldom, and in between nothing is counted unless
# there is news: what is known of records' inputs changes too, but may wait for so long.
NOTED_EVERY: Final = timedelta(seconds=20)
# After so long without a look, the same decision is stored again: nobody watched in between.
UNWATCHED: Final = timedelta(seconds=60)

# Why records do not count that would, once more is known of their inputs.
_WAITING: Final = frozenset({Reason.PAYLOAD_NOT_SEEN.value, Reason.PAYLOAD_NOT_STORED.value})

Units = Callable[[], TriggerUnit]


class Look(Struct, frozen=True, kw_only=True):
    """What a look at a model found, and what follows from it."""

    latest: DecisionEntry | None  # the decision before
    facts: Facts
    offsets: Offsets
    noted: Noted
    decision: Decision


class Explanation(Struct, frozen=True, kw_only=True):
    """Where a model stands: the decision that a look would make now, and what it rests on."""

    model: str
    sentence: str
    fire: bool
    pending: bool
    decision: Decision
    facts: Facts
    records: int  # since the last training
    policy_digest: str
    at: datetime
    next_turn: datetime | None  # when time alone may turn it


def consider(
    units: Units,
    views: Units,
    policy: ModelPolicy,
    *,
    now: datetime,
    ask: Ask | None = None,
) -> DecisionEntry:
    """Decide whether the policy's model retrains now, and start the run if so.

    The last training is the last run that a decision started, however it ended: a run that failed
    is retried by a person, not by firing again on the corrections that it failed on. A decision
    that repeats the one before it is not stored again; that one is returned.

    Counting happens before the transaction that writes; if somebody else decides on the model
    meanwhile, it is repeated inside, where nobody can.

    Args:
        units: makes the transaction that holds the decision, the run and their traces.
        views: makes one that only reads.
        policy: the model's.
        now: the present moment.
        ask: who asks for a run and why, if a person does.
    """
    model = policy.name
    with views() as view:
        found = look(view, policy, now=now, ask=ask)
    known = _repeated(found, policy, now)
    if known is not None and now - known.until < NOTED_EVERY:
        return known
    with units() as unit:
        # Asked first: from here on, nobody else decides on this model.
        run = unit.run_starter.active(model)
        latest = unit.decisions.latest(model)
        pauses = unit.pauses.of(model)
        if (latest, run, pauses) != (found.latest, found.facts.run, found.facts.pauses):
            found = look(unit, policy, now=now, ask=ask)
            known = _repeated(found, policy, now)
        if known is None:
            entry = _settle(unit, policy, found, now)
        else:
            entry = unit.decisions.extend(
                known, until=now, offsets=found.offsets, noted=found.noted
            )
        unit.commit()
    return entry


def look(unit: TriggerUnit, policy: ModelPolicy, *, now: datetime, ask: Ask | None = None) -> Look:
    """Return what is known of a model inside a transaction, and the decision that follows."""
    model = policy.name
    latest = unit.decisions.latest(model)
    memory = _remembered(unit, latest)
    offsets = unit.feedback.offsets()
    trained = _read_on(unit, policy, memory.trained)
    counted = _still_counted(unit, policy, latest, trained, offsets, now=now) or count(
        unit, policy, since=trained.offsets if trained else {}, upto=offsets
    )
    facts = Facts(
        tally=counted.tally,
        trained=trained,
        run=unit.run_starter.active(model),
        pauses=unit.pauses.of(model),
        alert=unit.alarm.raised(model),
        answered=memory.answered,
        ask=ask if ask is not None and (ask.waits or memory.ask is None) else memory.ask,
        unknown=counted.unknown,
    )
    decision = decide(policy.trigger, facts, now=now)
    return Look(latest=latest, facts=facts, offsets=offsets, noted=counted.noted, decision=decision)


def explain(unit: TriggerUnit, policy: ModelPolicy, *, now: datetime) -> Explanation:
    """Return where a model stands, inside the caller's transaction; nothing is stored."""
    found = look(unit, policy, now=now)
    return Explanation(
        model=policy.name,
        sentence=found.decision.reason,
        fire=found.decision.fire,
        pending=found.decision.pending,
        decision=found.decision,
        facts=found.facts,
        records=found.facts.tally.records,
        policy_digest=policy.digest,
        at=now,
        next_turn=next_turn(policy.trigger, found.facts, after=now),
    )


def pause(
    unit: TriggerUnit,
    model: str,
    triggers: Collection[str],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> tuple[Pause, ...]:
    """Pause triggers of a model by name, all of them if none is named; return what is paused.

    Raises UnknownTrigger, ReasonMissing.
    """
    rules = _named(triggers)
    with unit:
        before = _held(unit, model, reason)
        for rule in rules:
            made = Pause(trigger=rule, actor=actor.name, reason=reason, at=now)
            unit.pauses.put(model, made)
        return _leave_trace(unit, "trigger.paused", model, before, actor=actor, reason=reason)


def resume(
    unit: TriggerUnit, model: str, triggers: Collection[str], *, actor: Actor, reason: str
) -> tuple[Pause, ...]:
    """Resume triggers of a model by name, all of them if none is named; return what stays paused.

    Raises UnknownTrigger, ReasonMissing.
    """
    rules = _named(triggers)
    with unit:
        before = _held(unit, model, reason)
        for rule in rules:
            unit.pauses.remove(model, rule)
        return _leave_trace(unit, "trigger.resumed", model, before, actor=actor, reason=reason)


def _remembered(unit: TriggerUnit, latest: DecisionEntry | None) -> Memory:
    """Return what the decisions so far leave to be known."""
    if latest is None:
        return Memory()
    if latest.facts is not None:
        return Memory.after(
            latest.decision, latest.facts, at=latest.at, offsets=latest.offsets, run=latest.run
        )
    fired = unit.decisions.last_fired(latest.model)
    return Memory(trained=Trained(at=fired.at, offsets=fired.offsets) if fired else None)


def _read_on(unit: TriggerUnit, policy: ModelPolicy, trained: Trained | None) -> Trained | None:
    """Return the last training with all that its run has read in the policy's sources by now."""
    if trained is None or trained.run is None or not policy.sources:
        return trained
    return replace(trained, offsets=unit.run_starter.offsets(RunId(trained.run)))


def _still_counted(
    unit: TriggerUnit,
    policy: ModelPolicy,
    latest: DecisionEntry | None,
    trained: Trained | None,
    offsets: Offsets,
    *,
    now: datetime,
) -> Counted | None:
    """Return what the decision before counted if that is still what there is to count."""
    if latest is None or latest.facts is None or latest.fire or latest.facts.unknown:
        return None
    if latest.policy_digest != policy.digest or now - latest.until >= NOTED_EVERY:
        return None
    if latest.facts.trained != trained or unit.feedback.has_news(
        policy.name, latest.offsets, offsets
    ):
        return None
    if latest.noted is None or (
        _WAITING & latest.facts.tally.left_out.keys() and latest.noted != unit.payloads.noted()
    ):
        return None
    return Counted(tally=latest.facts.tally, unknown=(), noted=latest.noted)


def _repeated(found: Look, policy: ModelPolicy, now: datetime) -> DecisionEntry | None:
    """Return the decision before if this look only repeats it."""
    latest = found.latest
    if latest is None or now - latest.until > UNWATCHED:
        return None
    same = latest.repeated_by(found.decision, found.facts, policy.digest)
    return latest if same else None


def _settle(unit: TriggerUnit, policy: ModelPolicy, found: Look, now: datetime) -> DecisionEntry:
    """Store a decision, and start its run if it fires."""
    decision, facts, run = found.decision, found.facts, None
    ask = facts.ask
    actor = Actor(name=ask.actor, trace_id=ask.trace_id) if ask else SYSTEM
    if decision.fire:
        run = unit.run_starter.start(policy, decision, found.offsets, actor=actor)
        if run is None:  # one began between the question and the start
            facts = replace(facts, run=unit.run_starter.active(policy.name))
            decision = decide(policy.trigger, facts, now=now)
    elif ask is not None and ask.at == now and ask.waits:
        unit.audit.record(
            actor,
            "trigger.asked",
            f"model:{policy.name}",
            after={"rule": decision.rule, "hold": decision.hold},
            reason=ask.reason,
        )
    return unit.decisions.add(
        policy, decision, facts, at=now, offsets=found.offsets, noted=found.noted, run=run
    )


def _named(triggers: Collection[str]) -> list[Rule]:
    known = {rule.value: rule for rule in PAUSABLE}
    unknown = sorted(set(triggers) - known.keys())
    if unknown:
        raise UnknownTrigger.of("triggers", unknown, f"name some of {', '.join(known)}")
    return [known[name] for name in sorted(set(triggers))] or list(PAUSABLE)


def _held(unit: TriggerUnit, model: str, reason: str) -> tuple[Pause, ...]:
    """Hold a model, so that no decision on it is under way, and return what is paused."""
    if not reason.strip():
        raise ReasonMissing.of("reason", reason, "say why, for whoever wonders later")
    unit.run_starter.active(model)
    return unit.pauses.of(model)


def _leave_trace(
    unit: TriggerUnit,
    action: str,
    model: str,
    before: tuple[Pause, ...],
    *,
    actor: Actor,
    reason: str,
) -> tuple[Pause, ...]:
    after = unit.pauses.of(model)
    if after != before:
        data = {"paused": [pause.trigger for pause in after]}
        unit.audit.record(
            actor,
            action,
            f"model:{model}",
            before={"paused": [pause.trigger for pause in before]},
            after=data,
            reason=reason,
        )
        unit.outbox.publish("TriggersChanged", model, model, {**data, "reason": reason})
        unit.commit()
    return after
