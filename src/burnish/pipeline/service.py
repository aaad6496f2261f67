"""Use cases on runs: start, approve, reject, cancel. What a run does by itself: `performer`."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.errors import Conflict, Stale
from burnish.kernel.ids import RunId
from burnish.pipeline.model import ENDS, Cause, Run, RunEvent, RunFailure, RunState, follow
from burnish.pipeline.ports import PipelineUnit, RunUnit
from burnish.pipeline.saga import RELEASE_HALF, TRAINING_HALF


class RunActive(Conflict):
    """The model has a run that has not ended; it trains one at a time."""

    code = "run.active"


def start(
    unit: RunUnit,
    *,
    id_: RunId,
    model: str,
    cause: Cause,
    offsets: dict[str, int],
    trace_id: str,
    actor: Actor,
    now: datetime,
) -> Run | None:
    """Start a run inside the caller's transaction; None if the model has one under way.

    A run that is held for want of evidence gives way to the newer data.
    """
    active = unit.runs.active(model)
    if active is not None:
        if active.state is not RunState.HELD:
            return None
        move(unit, active, RunEvent.SUPERSEDE, now=now, reason=f"run {id_} has newer data")
    run = Run(
        id=id_,
        model=model,
        state=RunState.WAITING,
        revision=1,
        cause=cause,
        offsets=offsets,
        policy_digest=unit.models.get(model).policy_digest,
        trace_id=trace_id,
        created_at=now,
    )
    unit.runs.add(run)
    unit.audit.record(
        actor,
        "run.started",
        f"run:{run.id}",
        after={"model": model, "rule": cause.rule},
        reason=cause.reason,
    )
    unit.outbox.publish("RunStarted", model, run.id, {"rule": cause.rule, "reason": cause.reason})
    unit.starter.begin(TRAINING_HALF.name, run.id)
    return run


def approve(
    unit: RunUnit, id_: RunId, *, expected: int, actor: Actor, reason: str, now: datetime
) -> Run:
    """Let a candidate that passed its gates into production. Raises Stale, IllegalTransition."""
    with unit:
        run = at_revision(unit, id_, expected)
        run = move(unit, run, RunEvent.RELEASE, now=now, actor=actor, reason=reason)
        unit.starter.begin(RELEASE_HALF.name, run.id)
        unit.commit()
    return run


def reject(
    unit: RunUnit, id_: RunId, *, expected: int, actor: Actor, reason: str, now: datetime
) -> Run:
    """Turn a candidate down. Raises Stale, IllegalTransition."""
    with unit:
        run = at_revision(unit, id_, expected)
        run = move(unit, run, RunEvent.REJECT, now=now, actor=actor, reason=reason)
        unit.commit()
    return run


def cancel(
    unit: PipelineUnit, id_: RunId, *, expected: int, actor: Actor, reason: str, now: datetime
) -> Run:
    """End a run that has not begun to release; it wakes, and ends its job. Raises as `approve`."""
    with unit:
        run = at_revision(unit, id_, expected)
        if run.state is RunState.TRAINING:
            unit.signals.wake(run.id, f"{run.id}:{RunEvent.CANCEL}")
        run = move(unit, run, RunEvent.CANCEL, now=now, actor=actor, reason=reason)
        unit.commit()
    return run


def move(
    unit: RunUnit,
    run: Run,
    event: RunEvent,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
    reason: str = "",
    **changes: Any,
) -> Run:
    """Move a run inside the caller's transaction and leave the trace. Raises IllegalTransition."""
    state = follow(run, event)
    ended = now if state in ENDS else None
    moved = unit.runs.save(replace(run, state=state, ended_at=ended, **changes))
    unit.audit.record(
        actor,
        f"run.{event.replace(' ', '_')}",
        f"run:{run.id}",
        before={"state": run.state},
        after={"state": moved.state},
        reason=reason,
    )
    data: dict[str, Any] = {"from": run.state, "to": moved.state, "reason": reason}
    unit.outbox.publish("RunMoved", run.model, run.id, data)
    return moved


def fail(unit: RunUnit, id_: RunId, step: str, failure: RunFailure, *, now: datetime) -> Run:
    """End a run by a step that cannot go on; a run that has ended stays as it is."""
    with unit:
        run = unit.runs.get(id_)
        if run.state not in ENDS:
            run = move(
                unit,
                run,
                RunEvent.FAIL,
                now=now,
                reason=failure.detail,
                failed_step=step,
                failure=failure,
            )
            unit.runs.end_step(id_, step, "failed", now, {"failure": failure.detail})
            unit.outbox.publish("RunFailed", run.model, id_, {"step": step, "code": failure.code})
            unit.commit()
    return run


def at_revision(unit: RunUnit, id_: RunId, expected: int) -> Run:
    """Return a run as the caller saw it. Raises Stale if it has changed since."""
    run = unit.runs.get(id_)
    if run.revision != expected:
        raise Stale(
            f"Run {id_} is at revision {run.revision}, not {expected}: read it again.",
            run=id_,
            revision=run.revision,
        )
    return run
