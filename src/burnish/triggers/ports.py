"""What triggers need of the world: corrections to count, decisions to keep, runs to start."""

from datetime import datetime
from typing import Protocol

from burnish.datasets.contents import PayloadStore
from burnish.feedback.ports import FeedbackStore
from burnish.feedback.prediction import PredictionStore
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.kernel.unit import Unit
from burnish.triggers.model import Decision, DecisionEntry


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

    def latest(self, model: str) -> DecisionEntry | None:
        """Return the newest decision, if there is one."""
        ...

    def last_fired(self, model: str) -> DecisionEntry | None:
        """Return the newest decision that started a run, if there is one."""
        ...

    def list(self, model: str, *, limit: int = 100) -> list[DecisionEntry]:
        """Return decisions, newest first."""
        ...


class RunStarter(Protocol):
    """Starts pipeline runs, inside the transaction of the decision."""

    def active(self, model: str) -> bool:
        """Tell whether a run of the model is under way; that stays so until the unit ends."""
        ...

    def start(
        self, policy: ModelPolicy, decision: Decision, offsets: Offsets, *, actor: Actor
    ) -> RunId | None:
        """Write a run's row with its audit and outbox rows; None if one is already active."""
        ...


class TriggerUnit(Unit, Protocol):
    """One transaction over decisions and the runs that they start."""

    @property
    def feedback(self) -> FeedbackStore:
        """The projection, to count corrections in."""
        ...

    @property
    def predictions(self) -> PredictionStore:
        """What serving answered, to find the inputs that records refer to."""
        ...

    @property
    def payloads(self) -> PayloadStore:
        """What was found out about the inputs that records name."""
        ...

    @property
    def decisions(self) -> DecisionStore:
        """The decisions."""
        ...

    @property
    def run_starter(self) -> RunStarter:
        """Where a firing decision becomes a run."""
        ...
