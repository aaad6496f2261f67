"""What datasets need of the world, besides the raw log and the object store."""

from typing import Protocol

from burnish.datasets.columns import Asked
from burnish.datasets.contents import PayloadStore
from burnish.datasets.looks import LookStore
from burnish.datasets.model import Dataset
from burnish.datasets.reading import Read
from burnish.feedback.erasure import TombstoneStore
from burnish.feedback.prediction import PredictionStore
from burnish.feedback.verdict import Offsets
from burnish.kernel.ids import DatasetId
from burnish.kernel.unit import Unit


class Reader(Protocol):
    """Reads the raw log into columns: the one part of a build that sees every line."""

    def read(self, asked: Asked, since: Offsets, until: Offsets) -> Read:
        """Return a model's lines with `since <= offset < until`, by shard and offset.

        A shard that `since` does not name is read from its beginning. Raises RawLogGap.
        """
        ...


class DatasetStore(Protocol):
    """The versions of every model, in one unbroken line each."""

    def get(self, dataset: DatasetId) -> Dataset:
        """Return one version. Raises DatasetNotFound."""
        ...

    def newest(self, model: str) -> Dataset | None:
        """Return the version of the greatest number, if there is one."""
        ...

    def built(self, model: str, offsets: Offsets, policy_digest: str) -> Dataset | None:
        """Return the version that was built from exactly these inputs, if there is one."""
        ...

    def with_digest(self, model: str, digest: str) -> Dataset | None:
        """Return the newest version with these rows and policy, if there is one."""
        ...

    def list(self, model: str | None = None) -> list[Dataset]:
        """Return the versions of one model or of all, newest first."""
        ...

    def add(self, dataset: Dataset) -> None:
        """Append a version. Raises Stale unless its parent is the newest one of its model."""
        ...


class DatasetUnit(Unit, Protocol):
    """One transaction over dataset versions."""

    @property
    def datasets(self) -> DatasetStore:
        """The versions, inside this transaction."""
        ...

    @property
    def predictions(self) -> PredictionStore:
        """What serving answered, to find the inputs that records refer to."""
        ...

    @property
    def looks(self) -> LookStore:
        """The looks at every holdout."""
        ...

    @property
    def tombstones(self) -> TombstoneStore:
        """What was erased."""
        ...

    @property
    def payloads(self) -> PayloadStore:
        """What was found out about payloads."""
        ...
