"""What the handlers of the control plane are given: one value, wired in `bootstrap`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry

from burnish.datasets.contents import PayloadStore
from burnish.datasets.desk import DisputedStore
from burnish.datasets.manifest import Manifest
from burnish.datasets.model import Dataset, Fate, Row
from burnish.datasets.rotation import RotationUnit
from burnish.feedback import journey, replay
from burnish.feedback.erasure import ErasableStore, TombstoneStore
from burnish.feedback.model import ModelFacts
from burnish.feedback.ports import FeedbackStore, QuarantineStore, QuarantineUnit, RawLog
from burnish.feedback.prediction import PredictionStore
from burnish.kernel.audit import Actor, AuditEntry
from burnish.kernel.auth import Tokens
from burnish.kernel.clock import Clock
from burnish.kernel.events import Event
from burnish.kernel.ids import DatasetId, Ids
from burnish.kernel.objects import Objects
from burnish.kernel.policy import ModelPolicy
from burnish.monitoring.ports import MonitorUnit
from burnish.pipeline.ports import PipelineUnit
from burnish.training.model import Job
from burnish.triggers.model import DecisionEntry
from burnish.triggers.ports import TriggerUnit
from burnish.triggers.travel import TravelUnit


class DatasetReader(Protocol):
    """The rows of dataset versions."""

    def get(self, dataset: DatasetId) -> Dataset:
        """Return one version. Raises NotFound."""
        ...

    def list(self, model: str | None = None) -> list[Dataset]:
        """Return the versions of one model or of all, newest first."""
        ...


class Versions(Protocol):
    """Dataset versions with their files."""

    def get(self, dataset: DatasetId) -> Dataset:
        """Return one version. Raises NotFound."""
        ...

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        """Yield the examples, sorted by subject. Raises DatasetCorrupt before the first."""
        ...

    def manifest(self, dataset: Dataset) -> Manifest:
        """Return what the version was built from and by. Raises DatasetCorrupt."""
        ...

    def fates(self, dataset: Dataset) -> Iterator[Fate]:
        """Yield what became of each line of the raw log that the build read, by place."""
        ...

    def rebuilt(self, policy: ModelPolicy, dataset: Dataset) -> str:
        """Return the digest that the raw log gives today for a version's policy and offsets."""
        ...


class Verdicts(FeedbackStore, DisputedStore, ErasableStore, Protocol):
    """The projection, with all that is asked of it here."""


class AuditReader(Protocol):
    """The audit log, read."""

    def newest(self, *, limit: int) -> list[AuditEntry]:
        """Return the newest rows, newest first."""
        ...


class EventReader(Protocol):
    """The outbox, read."""

    def after(self, last_id: int, *, limit: int) -> list[Event]:
        """Return up to `limit` events with greater ids, ascending."""
        ...

    def last_id(self) -> int:
        """Return the greatest id so far, 0 if there is none."""
        ...


class Front(replay.Front, journey.Finder, Protocol):
    """The feedback front, from outside."""


class Changes(PipelineUnit, QuarantineUnit, TriggerUnit, RotationUnit, Protocol):
    """Everything that the API changes."""

    @property
    def feedback(self) -> Verdicts:
        """The corrections in the raw log."""
        ...

    @property
    def tombstones(self) -> TombstoneStore:
        """What was erased."""
        ...


class View(PipelineUnit, MonitorUnit, TravelUnit, Protocol):
    """Everything that the API reads."""

    @property
    def feedback(self) -> Verdicts:
        """The corrections in the raw log."""
        ...

    @property
    def tombstones(self) -> TombstoneStore:
        """What was erased."""
        ...

    @property
    def payloads(self) -> PayloadStore:
        """What was found out about payloads."""
        ...

    @property
    def predictions(self) -> PredictionStore:
        """What serving answered."""
        ...

    @property
    def quarantine(self) -> QuarantineStore:
        """What was refused."""
        ...

    @property
    def datasets(self) -> DatasetReader:
        """The dataset versions."""
        ...

    @property
    def audit_log(self) -> AuditReader:
        """The audit log."""
        ...

    @property
    def events(self) -> EventReader:
        """The live events."""
        ...


class Directory(Protocol):
    """What the other roles may know without asking: models and keys, signed."""

    def publish(self) -> None:
        """Write it anew."""
        ...


class Signatures(Protocol):
    """Checks the URLs that we presigned for the local object store."""

    def verify(self, key: str, *, method: str, expires: int, signature: str) -> None:
        """Raise BadSignature unless the URL allows this, now."""
        ...


class Triggers(Protocol):
    """Starts runs."""

    def ask(self, model: str, actor: Actor, reason: str, *, waits: bool) -> DecisionEntry:
        """Consider a model because an operator asks for a run. Raises UnknownModel.

        One that cannot begin waits until it can, if it `waits`.
        """
        ...


class Control(Struct, frozen=True, kw_only=True):
    """The control plane's collaborators."""

    units: Callable[[Actor], Changes]  # a transaction, whose traces name the actor's trace
    views: Callable[[], View]  # the same, for reading
    objects: Objects
    raw_log: RawLog
    datasets: Versions
    front: Front
    models: Callable[[], Mapping[str, ModelFacts]]  # as the feedback front knows them
    signatures: Signatures
    directory: Directory
    triggers: Triggers
    tokens: Tokens
    admin_token_sha256: str
    job_log: Callable[[Job], str]
    draining: Callable[[], bool]  # a request that waits for news ends early then
    clock: Clock
    ids: Ids
    registry: CollectorRegistry
    max_payload_bytes: int
    max_artifact_bytes: int
