"""Dataset versions in SQL: table `datasets`."""

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import columns, read
from burnish.adapters.sql.schema import datasets
from burnish.datasets.model import Dataset, DatasetNotFound
from burnish.feedback.verdict import Offsets
from burnish.kernel.errors import Stale
from burnish.kernel.ids import DatasetId


class DatasetStore:
    """Port `datasets.ports.DatasetStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def get(self, dataset: DatasetId) -> Dataset:
        """Return one version. Raises DatasetNotFound."""
        query = select(datasets).where(datasets.c.id == dataset)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise DatasetNotFound.of("dataset", dataset)
        return read(row, Dataset)

    def newest(self, model: str) -> Dataset | None:
        """Return the version of the greatest number, if there is one."""
        return next(iter(self.list(model)), None)

    def built(self, model: str, offsets: Offsets, policy_digest: str) -> Dataset | None:
        """Return the version that was built from exactly these inputs, if there is one."""
        same = (
            version
            for version in self.list(model)
            if version.policy_digest == policy_digest and version.offsets == offsets
        )
        return next(same, None)

    def with_digest(self, model: str, digest: str) -> Dataset | None:
        """Return the newest version with these rows and policy, if there is one."""
        same = (version for version in self.list(model) if version.digest == digest)
        return next(same, None)

    def list(self, model: str | None = None) -> list[Dataset]:
        """Return the versions of one model or of all, newest first."""
        query = select(datasets).order_by(
            datasets.c.created_at.desc(), datasets.c.model, datasets.c.number.desc()
        )
        if model is not None:
            query = (
                select(datasets).where(datasets.c.model == model).order_by(datasets.c.number.desc())
            )
        return [read(row, Dataset) for row in self._connection.execute(query).mappings()]

    def add(self, dataset: Dataset) -> None:
        """Append a version. Raises Stale unless its parent is the newest one of its model."""
        self._locks.model(dataset.model)
        newest = self.newest(dataset.model)
        stale = Stale(
            f"{dataset.model} got another dataset version while {dataset.id} was built.",
            dataset=dataset.id,
        )
        if (newest.id if newest else None) != dataset.parent:
            raise stale
        try:
            self._connection.execute(insert(datasets).values(columns(dataset)))
        except IntegrityError as error:  # a model that is no row cannot be held
            raise stale from error
