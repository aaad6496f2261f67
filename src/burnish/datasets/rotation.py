"""Rotation: an operator says that a holdout is worn, whatever is left of its looks."""

from datetime import datetime
from typing import Protocol

from burnish.datasets.looks import LookUnit, Rotation
from burnish.datasets.model import Dataset, HoldoutBySource, NoHoldout
from burnish.datasets.ports import DatasetStore
from burnish.kernel.audit import Actor
from burnish.kernel.errors import InvalidInput
from burnish.models.ports import ModelStore, ModelUnit


class RotationUnit(LookUnit, ModelUnit, Protocol):
    """One transaction over a model's newest version and its holdout."""

    @property
    def datasets(self) -> DatasetStore:
        """The versions, inside this transaction."""
        ...


def rotate(unit: RotationUnit, model: str, *, actor: Actor, reason: str, now: datetime) -> Rotation:
    """Say that the holdout of a model's newest version is worn; return the word that stands.

    What follows is what follows from spent looks: the next build that can begins the next epoch,
    and until then newcomers are reserved. Of one epoch the first word stands, and cannot be taken
    back. A build that is under way ends as it began.

    Raises InvalidInput (no reason), UnknownModel, NoHoldout, HoldoutBySource.
    """
    if not reason.strip():
        raise InvalidInput.of("reason", reason, "say why; the audit log keeps it")
    with unit:
        # Asked first: from here on, no version of the model is added.
        policy = unit.models.get(model).policy
        newest = _judging(model, unit.datasets.newest(model))
        _check_drawn(unit.models, newest, policy.dataset.holdout_source)
        known = unit.looks.rotation(model, newest.epoch)
        if known is not None:
            return known
        made = Rotation(
            model=model,
            epoch=newest.epoch,
            dataset=newest.id,
            actor=actor.name,
            reason=reason,
            at=now,
        )
        unit.looks.rotate(made)
        facts = {"epoch": made.epoch, "looks": unit.looks.count(model, made.epoch)}
        subject = f"dataset:{newest.id}"
        unit.audit.record(actor, "holdout.rotated", subject, after=facts, reason=reason)
        unit.outbox.publish("HoldoutRotated", model, newest.id, {**facts, "reason": reason})
        unit.commit()
    return made


def _judging(model: str, newest: Dataset | None) -> Dataset:
    """Return a model's newest version if it holds anything out. Raises NoHoldout."""
    if newest is None:
        raise NoHoldout(
            f"Model {model!r} has no dataset version yet: the first run builds one, with its"
            " holdout.",
            model=model,
        )
    if newest.held == 0:
        raise NoHoldout(
            f"{newest.id} holds nothing out: raise `dataset.holdout` in the policy of {model!r}, or"
            " send verdicts on subjects that uncertainty did not choose.",
            model=model,
            dataset=newest.id,
        )
    return newest


def _check_drawn(models: ModelStore, newest: Dataset, source: str) -> None:
    """Raise HoldoutBySource unless this holdout was drawn, and the next one will be."""
    former = models.policy(newest.policy_digest).dataset.holdout_source
    if source:
        raise HoldoutBySource(
            f"The policy of {newest.model!r} takes the records of {source!r} as its holdout: send"
            " new ones under another source, and name that in `dataset.holdout_source`.",
            model=newest.model,
            source=source,
        )
    if former:
        raise HoldoutBySource(
            f"The holdout of {newest.id} is the records of {former!r}, which the policy of"
            f" {newest.model!r} no longer names: the next version begins a new epoch anyway.",
            model=newest.model,
            source=former,
        )
