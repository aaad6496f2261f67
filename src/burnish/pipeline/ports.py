"""What runs need from the house."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from burnish.evaluation.ports import EvaluationUnit, HeldOut
from burnish.kernel.ids import RunId
from burnish.kernel.unit import Unit
from burnish.models.ports import ModelStore
from burnish.pipeline.model import Run, StepRecord
from burnish.releases.ports import ReleaseUnit, ReplicaStore
from burnish.training.model import Job
from burnish.training.ports import JobUnit


class RunStore(Protocol):
    """Runs and their steps."""

    def add(self, run: Run) -> None:
        """Store a new run. Raises Stale if its model has one that has not ended."""
        ...

    def get(self, run: RunId) -> Run:
        """Return a run. Raises NotFound."""
        ...

    def save(self, run: Run) -> Run:
        """Store a run's new state iff its revision is still the stored one, and add 1 to it.

        Raises Stale.
        """
        ...

    def newest(self, model: str | None = None, *, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        ...

    def active(self, model: str) -> Run | None:
        """Return the run of a model that has not ended, if there is one.

        In a unit that writes, nobody else starts one until the unit ends.
        """
        ...

    def steps(self, run: RunId) -> list[StepRecord]:
        """Return what became of a run's steps, in the order in which they began."""
        ...

    def begin_step(self, run: RunId, step: str, now: datetime) -> None:
        """Note that a step began; once."""
        ...

    def end_step(
        self, run: RunId, step: str, state: str, now: datetime, detail: dict[str, Any]
    ) -> None:
        """Note how a step ended."""
        ...


class Starter(Protocol):
    """Hands a half of a run to the durable engine, in the transaction of the change."""

    def begin(self, half: str, run: RunId) -> None:
        """Start the half once; it survives any crash from here on."""
        ...


class RunUnit(Unit, Protocol):
    """One transaction over runs."""

    @property
    def runs(self) -> RunStore:
        """The runs."""
        ...

    @property
    def models(self) -> ModelStore:
        """The models and their policies."""
        ...

    @property
    def starter(self) -> Starter:
        """The durable engine."""
        ...


class PipelineUnit(RunUnit, JobUnit, EvaluationUnit, ReleaseUnit, Protocol):
    """One transaction over everything that a run touches."""

    @property
    def replicas(self) -> ReplicaStore:
        """The serving processes."""
        ...


class Datasets(Protocol):
    """Builds and reads dataset versions."""

    def build(self, model: str, offsets: dict[str, int], policy_digest: str) -> str:
        """Return the id of the dataset version of these offsets, built if it is not there yet."""
        ...

    def holdout(self, dataset: str) -> HeldOut:
        """Return the examples that no model of this epoch trains on."""
        ...

    def publish_inputs(self, dataset: str, job: Job) -> str:
        """Return a URL under which this attempt, and nobody else, finds its examples."""
        ...


class Outputs(Protocol):
    """Where an attempt puts its artifact."""

    def key(self, job: Job) -> str:
        """Return the key of the attempt's artifact."""
        ...

    def url(self, job: Job) -> str:
        """Return a URL to which this attempt may put it, once."""
        ...


Tokens = Callable[[Job], str]  # makes the callback token of an attempt
Pause = Callable[[float], None]
