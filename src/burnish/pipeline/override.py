"""An operator's override: a candidate goes to release in spite of its gates, by a run of its own.

The run that was refused stays what it is, an end. The new one reuses what that one has made, up to
the report, and begins where a run that passed begins its second half.
"""

from datetime import datetime
from typing import Any, Final

from burnish.evaluation.model import Evaluation, Verdict
from burnish.kernel.audit import Actor
from burnish.kernel.errors import Conflict, InvalidInput
from burnish.kernel.ids import RunId
from burnish.pipeline.model import OVERRIDE, Cause, Run, RunEvent, RunState
from burnish.pipeline.ports import PipelineUnit
from burnish.pipeline.saga import RELEASE_HALF
from burnish.pipeline.service import RunActive, at_revision, move


class NotOverridable(Conflict):
    """No gate stands in the way of this candidate, or it had its chance in production."""

    code = "run.not_overridable"


def override(
    unit: PipelineUnit,
    id_: RunId,
    *,
    new: RunId,
    expected: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Run:
    """Take the candidate of a run that its gates refused, or hold, to release; return the new run.

    Raises Stale, NotOverridable, RunActive, and InvalidInput without a reason.
    """
    if not reason.strip():
        raise InvalidInput.of("reason", reason, "say why: the audit log keeps it")
    with unit:
        run = at_revision(unit, id_, expected)
        report = _report_against(unit, run)
        _check_never_served(unit, run)
        active = unit.runs.active(run.model)
        if active is not None and active.id != run.id:
            raise RunActive(
                f"Model {run.model!r} has run {active.id} under way ({active.state}): wait for its "
                "end, or end it, before you override.",
                model=run.model,
                run=active.id,
            )
        if run.state is RunState.HELD:
            said = f"overridden by run {new}: {reason}"
            move(unit, run, RunEvent.SUPERSEDE, now=now, actor=actor, reason=said)
        started = _begin(unit, run, new=new, actor=actor, reason=reason, now=now)
        _leave_trace(unit, run, report, started, actor=actor, reason=reason)
        unit.commit()
    return started


def _report_against(unit: PipelineUnit, run: Run) -> Evaluation:
    """Return the report whose verdict keeps the candidate out; a person's No has none."""
    keeps_out: Final = {
        RunState.REJECTED: Verdict.FAIL,
        RunState.HELD: Verdict.INCONCLUSIVE,
    }
    report = unit.evaluations.get(run.evaluation) if run.evaluation else None
    if report is None or report.verdict is not keeps_out.get(run.state):
        raise NotOverridable(
            f"Run {run.id} is {run.state}, and not by a verdict of its gates: only a run that its "
            "gates refused or hold can be overridden.",
            run=run.id,
            state=run.state,
        )
    return report


def _check_never_served(unit: PipelineUnit, run: Run) -> None:
    for release in unit.releases.history(run.model):
        if release.model_version == run.candidate and release.generation is not None:
            raise NotOverridable(
                f"Version {run.candidate} was released before (release {release.id}, now "
                f"{release.state}): train a new candidate.",
                run=run.id,
                release=release.id,
            )


def _begin(
    unit: PipelineUnit, run: Run, *, new: RunId, actor: Actor, reason: str, now: datetime
) -> Run:
    started = Run(
        id=new,
        model=run.model,
        state=RunState.WAITING,
        revision=1,
        cause=Cause(rule=OVERRIDE, reason=reason, corrections=run.cause.corrections),
        offsets=run.offsets,
        policy_digest=run.policy_digest,
        trace_id=actor.trace_id or new.replace("-", ""),
        created_at=now,
        dataset=run.dataset,
        candidate=run.candidate,
        evaluation=run.evaluation,
    )
    unit.runs.add(started)
    data = {"rule": OVERRIDE, "reason": reason, "overrides": run.id}
    unit.outbox.publish("RunStarted", run.model, new, data)
    unit.starter.begin(RELEASE_HALF.name, new)
    said = f"version {run.candidate} of run {run.id}, in spite of its gates"
    return move(unit, started, RunEvent.REUSE, now=now, actor=actor, reason=said)


def _leave_trace(
    unit: PipelineUnit,
    run: Run,
    report: Evaluation,
    started: Run,
    *,
    actor: Actor,
    reason: str,
) -> None:
    overridden: dict[str, Any] = {
        "verdict": report.verdict,
        "report": report.id,
        "gates": {
            gate.gate: {
                "verdict": gate.verdict,
                "value": gate.value,
                "threshold": gate.threshold,
                "reason": gate.reason,
            }
            for gate in report.gates
            if gate.verdict is not Verdict.PASS
        },
    }
    after = {"run": started.id, "candidate": run.candidate}
    unit.audit.record(
        actor,
        "run.overridden",
        f"run:{run.id}",
        before={"state": run.state, **overridden},
        after=after,
        reason=reason,
    )
    data = {**overridden, **after, "actor": actor.name, "reason": reason}
    unit.outbox.publish("GatesOverridden", run.model, run.id, data)
