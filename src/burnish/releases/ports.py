"""What the use cases on releases need."""

from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from burnish.kernel.ids import ReleaseId, RunId
from burnish.kernel.unit import Unit
from burnish.models.ports import ModelStore
from burnish.releases.model import ModelVersion, Release, ReleaseEvent


class ReleaseStore(Protocol):
    """History of releases and the one pointer serving follows."""

    def add(self, release: Release) -> Release:
        """Store a new release; one of the same run already there is returned instead."""
        ...

    def get(self, release: ReleaseId) -> Release:
        """Return a release. Raises NotFound."""
        ...

    def history(self, model: str | None = None) -> list[Release]:
        """Return the releases of a model, or of all, newest first."""
        ...

    def active(self, model: str) -> Release | None:
        """Return the release that serving follows, if there is one."""
        ...

    def activate(
        self, model: str, target: ReleaseId, *, leave: ReleaseEvent, expected: int
    ) -> Release:
        """Move the pointer iff its generation is `expected`; else raise StaleGeneration.

        The release that was active leaves by `leave`; the target gets the next generation.
        """
        ...

    def end(self, release: ReleaseId, event: ReleaseEvent, reason: str) -> Release:
        """Take a release that was never promoted out of the race. Raises IllegalTransition."""
        ...


class VersionStore(Protocol):
    """Model versions, immutable."""

    def add(self, version: ModelVersion) -> ModelVersion:
        """Store a version; one of the same run already there is returned instead."""
        ...

    def get(self, model: str, version: str) -> ModelVersion:
        """Return a version. Raises NotFound."""
        ...

    def of_run(self, run: RunId) -> ModelVersion | None:
        """Return what a run has trained, if it has."""
        ...

    def of_model(self, model: str) -> list[ModelVersion]:
        """Return the versions of a model, newest first."""
        ...

    def latest(self, model: str) -> ModelVersion | None:
        """Return the version of the greatest number, if there is one.

        In a unit that writes, nobody else adds one until the unit ends.
        """
        ...


class Replica(Struct, frozen=True, kw_only=True):
    """A serving process and what it last said of itself."""

    id: str
    url: str
    models: dict[str, Any]  # per model: what it serves, has loaded, could not load, has swapped
    seen_at: datetime


class ReplicaStore(Protocol):
    """The serving processes that report here."""

    def report(self, replica: Replica) -> None:
        """Keep what a replica says of itself."""
        ...

    def list(self) -> list[Replica]:
        """Return all replicas by id."""
        ...


class ReleaseUnit(Unit, Protocol):
    """One transaction over releases."""

    @property
    def releases(self) -> ReleaseStore:
        """The releases."""
        ...

    @property
    def versions(self) -> VersionStore:
        """The model versions."""
        ...

    @property
    def models(self) -> ModelStore:
        """The models, with their pointers."""
        ...
