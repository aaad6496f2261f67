"""Use cases on releases: each is one unit of work that changes all or nothing."""

from datetime import datetime
from typing import Any

from burnish.kernel.audit import Actor
from burnish.kernel.ids import ReleaseId, RunId
from burnish.releases.model import (
    ModelVersion,
    Release,
    ReleaseEvent,
    ReleaseState,
    RollbackCause,
    next_version,
    predecessor,
)
from burnish.releases.ports import ReleaseUnit


def register(
    unit: ReleaseUnit,
    *,
    run: RunId,
    model: str,
    dataset: str,
    artifact: dict[str, Any],
    metrics: dict[str, Any],
    labels: tuple[str, ...],
    now: datetime,
) -> ModelVersion:
    """Store what a run has trained as the model's next version; the same run registers once.

    `artifact` holds `key`, `sha256` and `bytes`.
    """
    with unit:
        latest = unit.versions.latest(model)
        version = unit.versions.add(
            ModelVersion(
                model=model,
                version=next_version(latest.version if latest else None),
                artifact_key=artifact["key"],
                artifact_sha256=artifact["sha256"],
                artifact_bytes=artifact["bytes"],
                labels=labels,
                dataset=dataset,
                run=run,
                predecessor=latest.version if latest else None,
                metrics=metrics,
                trained_at=now,
            )
        )
        unit.commit()
    return version


def open_release(
    unit: ReleaseUnit, *, id_: ReleaseId, model: str, version: str, run: RunId, now: datetime
) -> Release:
    """Make a model version ready to serve: replicas begin to load it. The same run opens once."""
    with unit:
        release = unit.releases.add(
            Release(
                id=id_,
                model=model,
                model_version=version,
                state=ReleaseState.READY,
                generation=None,
                run=run,
                previous=None,
                created_at=now,
            )
        )
        if release.id == id_:
            unit.outbox.publish("ReleaseReady", model, release.id, {"model_version": version})
        unit.commit()
    return release


def promote(
    unit: ReleaseUnit, release: ReleaseId, *, expected: int, actor: Actor, reason: str
) -> Release:
    """Make a release the one that serving follows; the one before it is retained for rollback.

    Raises StaleGeneration if another promotion or rollback came first.
    """
    with unit:
        return _activate(
            unit,
            unit.releases.get(release),
            leave=ReleaseEvent.RETIRE,
            expected=expected,
            action="release.promoted",
            event="ModelDeployed",
            actor=actor,
            reason=reason,
        )


def rollback(
    unit: ReleaseUnit,
    model: str,
    *,
    expected: int,
    actor: Actor,
    reason: str,
    cause: RollbackCause = RollbackCause.OPERATOR,
) -> Release:
    """Make the previous release active again, or raise and change nothing.

    The release rolled back from is withdrawn: it never serves again.
    Raises NothingToRollBackTo, StaleGeneration.
    """
    with unit:
        unit.models.get(model)
        return _activate(
            unit,
            predecessor(unit.releases.history(model)),
            leave=ReleaseEvent.WITHDRAW,
            expected=expected,
            action="release.rolled_back",
            event="ModelRolledBack",
            actor=actor,
            reason=reason,
            cause=cause.value,
        )


def abandon(
    unit: ReleaseUnit, release: ReleaseId, event: ReleaseEvent, *, actor: Actor, reason: str
) -> Release:
    """End a release that was never promoted (reject, fail or supersede it)."""
    with unit:
        before = unit.releases.get(release)
        ended = unit.releases.end(release, event, reason)
        unit.audit.record(
            actor,
            f"release.{ended.state.lower()}",
            f"release:{release}",
            before={"state": before.state},
            after={"state": ended.state},
            reason=reason,
        )
        unit.outbox.publish("ReleaseFailed", ended.model, release, {"reason": reason})
        unit.commit()
    return ended


def _activate(
    unit: ReleaseUnit,
    target: Release,
    *,
    leave: ReleaseEvent,
    expected: int,
    action: str,
    event: str,
    actor: Actor,
    reason: str,
    **more: str,
) -> Release:
    """Move the pointer that serving follows, leave the trace, and commit."""
    model = target.model
    before = unit.releases.active(model)
    active = unit.releases.activate(model, target.id, leave=leave, expected=expected)
    was, now = (_named(before) if before else None), _named(active)
    unit.audit.record(actor, action, f"model:{model}", before=was, after=now, reason=reason)
    facts = {"from": was, "to": now, "actor": actor.name, "reason": reason, **more}
    unit.outbox.publish(event, model, active.id, facts)
    unit.commit()
    return active


def _named(release: Release) -> dict[str, Any]:
    return {
        "release": release.id,
        "model_version": release.model_version,
        "generation": release.generation,
    }
