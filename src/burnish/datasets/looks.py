"""How worn a holdout is: by looks, each of which tells a little of it, or by a person's word."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from burnish.datasets.model import Dataset
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import DatasetId, RunId
from burnish.kernel.policy import DatasetPolicy
from burnish.kernel.unit import Unit


class Look(Struct, frozen=True, kw_only=True):
    """One run's candidate judged on a holdout. A row of table `holdout_looks`."""

    run: RunId
    model: str
    epoch: int
    dataset: DatasetId
    candidate: str  # model version
    at: datetime


class Rotation(Struct, frozen=True, kw_only=True):
    """A person's word that an epoch's holdout is worn. A row of table `holdout_rotations`."""

    model: str
    epoch: int
    dataset: DatasetId  # the newest version of that time
    actor: str
    reason: str
    at: datetime


class Budget(Struct, frozen=True, kw_only=True):
    """How worn a holdout is."""

    epoch: int
    looks: int
    allowed: int  # 0: any number
    rotation: Rotation | None = None

    @property
    def spent(self) -> bool:
        """Whether the next version should begin a new epoch."""
        return self.rotation is not None or 0 < self.allowed <= self.looks


class LookStore(Protocol):
    """What wears holdouts out: every look at them, and what people say."""

    def add(self, look: Look) -> bool:
        """Keep a look; of one run only the first. Returns whether it is new."""
        ...

    def count(self, model: str, epoch: int) -> int:
        """Return how often an epoch's holdout was looked at."""
        ...

    def rotate(self, rotation: Rotation) -> None:
        """Keep a rotation; of one epoch only the first."""
        ...

    def rotation(self, model: str, epoch: int) -> Rotation | None:
        """Return the rotation of an epoch, if somebody asked for it."""
        ...


class LookUnit(Unit, Protocol):
    """One transaction over looks."""

    @property
    def looks(self) -> LookStore:
        """The looks."""
        ...


def budget(looks: LookStore, dataset: Dataset, policy: DatasetPolicy) -> Budget:
    """Return how worn the holdout of a version's epoch is."""
    return Budget(
        epoch=dataset.epoch,
        looks=looks.count(dataset.model, dataset.epoch),
        allowed=policy.look_budget,
        rotation=looks.rotation(dataset.model, dataset.epoch),
    )


def look(unit: LookUnit, look: Look, allowed: int) -> None:
    """Count a look before it is taken; a run that is evaluated again looks once."""
    with unit:
        if unit.looks.add(look):
            count = unit.looks.count(look.model, look.epoch)
            unit.audit.record(
                SYSTEM,
                "holdout.looked",
                f"dataset:{look.dataset}",
                after={
                    "run": look.run,
                    "candidate": look.candidate,
                    "epoch": look.epoch,
                    "looks": count,
                    "allowed": allowed,
                },
            )
            unit.commit()
