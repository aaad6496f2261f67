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
        target = unit.releases.get(release)
        before = unit.releases.active(target.model)
        active = unit.releases.activate(
            target.model, target.id, leave=ReleaseEvent.RETIRE, expected=expected
        )
        _leave_trace(
            unit,
            action="release.promoted",
            event="ModelDeployed",
            before=before,
            active=active,
            actor=actor,
            reason=reason,
        )
        unit.commit()
    return active


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
        target = predecessor(unit.releases.history(model))
        before = unit.releases.active(model)
        active = unit.releases.activate(
            model, target.id, leave=ReleaseEvent.WITHDRAW, expected=expected
        )
        _leave_trace(
            unit,
            action="release.rolled_back",
            event="ModelRolledBack",
            before=before,
            active=active,
            actor=actor,
            reason=reason,
            cause=cause.value,
        )
        unit.commit()
    return active


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


def _leave_trace(
    unit: ReleaseUnit,
    *,
    action: str,
    event: str,
    before: Release | None,
    active: Release,
    actor: Actor,
    reason: str,
    **facts: str,
) -> None:
    def named(release: Release | None) -> dict[str, Any] | None:
        if release is None:
            return None
        return {
            "release": release.id,
            "model_version": release.model_version,
            "generation": release.generation,
        }

    unit.audit.record(
        actor,
        action,
        f"model:{active.model}",
        before=named(before),
        after=named(active),
        reason=reason,
    )
    unit.outbox.publish(
        event,
        active.model,
        active.id,
        {
            "from": named(before),
            "to": named(active),
            "actor": actor.name,
            "reason": reason,
            **facts,
        },
    )
