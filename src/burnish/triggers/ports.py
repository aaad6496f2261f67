"""What triggers need of the world: corrections to count, decisions to keep, runs to start."""

from datetime import datetime
from typing import Protocol

from burnish.datasets.contents import Noted, PayloadStore
from burnish.feedback.ports import FeedbackStore
from burnish.feedback.prediction import PredictionStore
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.kernel.unit import Unit
from burnish.triggers.model import Alert, Decision, DecisionEntry, Facts, Pause, Rule


class DecisionStore(Protocol):
    """Every decision, whether it fired or not."""

    def add(
        self,
        policy: ModelPolicy,
        decision: Decision,
        facts: Facts,
        *,
        at: datetime,
        offsets: Offsets,
        noted: Noted,
        run: RunId | None,
    ) -> DecisionEntry:
        """Store a decision on the policy's model, with what it knew and the run that it started."""
        ...

    def extend(
        self, entry: DecisionEntry, *, until: datetime, offsets: Offsets, noted: Noted
    ) -> DecisionEntry:
        """Note that a decision still held at a later look, which found so much."""
        ...

    def latest(self, model: str) -> DecisionEntry | None:
        """Return the newest decision, if there is one."""
        ...

    def last_fired(self, model: str) -> DecisionEntry | None:
        """Return the newest decision that started a run, if there is one."""
        ...

    def history(self, model: str, since: datetime) -> list[DecisionEntry]:
        """Return the decisions that held at or after a moment, oldest first."""
        ...

    def list(self, model: str, *, limit: int = 100) -> list[DecisionEntry]:
        """Return decisions, newest first."""
        ...


class PauseStore(Protocol):
    """Which triggers of which models people have paused."""

    def of(self, model: str) -> tuple[Pause, ...]:
        """Return the pauses of a model, by trigger."""
        ...

    def put(self, model: str, pause: Pause) -> None:
        """Pause a trigger; one that is paused already takes the new reason."""
        ...

    def remove(self, model: str, trigger: Rule) -> None:
        """Resume a trigger, if it is paused."""
        ...


class RunStarter(Protocol):
    """Starts pipeline runs, inside the transaction of the decision."""

    def active(self, model: str) -> RunId | None:
        """Return the run of the model that is under way; it stays so until the unit ends."""
        ...

    def offsets(self, run: RunId) -> Offsets:
        """Return up to where a run has read: beyond its decision's, where it has sources."""
        ...

    def start(
        self, policy: ModelPolicy, decision: Decision, offsets: Offsets, *, actor: Actor
    ) -> RunId | None:
        """Write a run's row with its audit and outbox rows; None if one is already active."""
        ...


class Alarm(Protocol):
    """Watches the live accuracy of what serves."""

    def raised(self, model: str) -> Alert | None:
        """Return the alert on the release that the model serves now, if one was raised."""
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
    def pauses(self) -> PauseStore:
        """The pauses."""
        ...

    @property
    def alarm(self) -> Alarm:
        """The alerts on live accuracy."""
        ...

    @property
    def run_starter(self) -> RunStarter:
        """Where a firing decision becomes a run."""
        ...
