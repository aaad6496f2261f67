"""Looks: each evaluation on a holdout tells a little of it, so they are counted, epoch by epoch."""

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


class Budget(Struct, frozen=True, kw_only=True):
    """How worn a holdout is."""

    epoch: int
    looks: int
    allowed: int  # 0: any number

    @property
    def spent(self) -> bool:
        """Whether the next version should begin a new epoch."""
        return bool(self.allowed) and self.looks >= self.allowed


class LookStore(Protocol):
    """Every look at every holdout."""

    def add(self, look: Look) -> bool:
        """Keep a look; of one run only the first. Returns whether it is new."""
        ...

    def count(self, model: str, epoch: int) -> int:
        """Return how often an epoch's holdout was looked at."""
        ...


class LookUnit(Unit, Protocol):
    """One transaction over looks."""

    @property
    def looks(self) -> LookStore:
        """The looks."""
        ...


def budget(looks: LookStore, dataset: Dataset, policy: DatasetPolicy) -> Budget:
    """Return how often the holdout of a version's epoch was looked at, of how often it may be."""
    count = looks.count(dataset.model, dataset.epoch)
    return Budget(epoch=dataset.epoch, looks=count, allowed=policy.look_budget)


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
