"""What triggers need of the world: corrections to count, decisions to keep, runs to start."""

from datetime import datetime
from typing import Protocol, TypeVar

from burnish.feedback.ports import FeedbackStore
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.kernel.unit import Unit
from burnish.triggers.model import Decision, DecisionEntry

Unit_contra = TypeVar("Unit_contra", bound=Unit, contravariant=True)


class DecisionStore(Protocol):
    """Every decision, whether it fired or not."""

    def add(
        self,
        policy: ModelPolicy,
        decision: Decision,
        *,
        at: datetime,
        offsets: Offsets,
        run: RunId | None,
    ) -> DecisionEntry:
        """Store a decision on the policy's model, with the run that it started."""
        ...

    def last_fired(self, model: str) -> DecisionEntry | None:
        """Return the newest decision that started a run, if there is one."""
        ...

    def newest(self, model: str, *, limit: int) -> list[DecisionEntry]:
        """Return the newest decisions, newest first."""
        ...


class RunStarter(Protocol[Unit_contra]):
    """Starts pipeline runs, inside the transaction of the decision."""

    def active(self, unit: Unit_contra, model: str) -> bool:
        """Tell whether a run is under way that a new one must wait for."""
        ...

    def start(
        self,
        unit: Unit_contra,
        policy: ModelPolicy,
        decision: Decision,
        offsets: Offsets,
        *,
        actor: Actor,
    ) -> RunId | None:
        """Write a run's row with its audit and outbox rows; None if one is under way."""
        ...


class TriggerUnit(Unit, Protocol):
    """One transaction over decisions and what they rest on."""

    @property
    def feedback(self) -> FeedbackStore:
        """The projection, to count corrections in."""
        ...

    @property
    def decisions(self) -> DecisionStore:
        """The decisions."""
        ...
