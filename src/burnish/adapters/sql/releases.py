"""Releases, model versions and replicas in the database."""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import columns, insert_new, inserting, read
from burnish.adapters.sql.schema import model_versions, models, releases, replicas
from burnish.kernel.clock import Clock
from burnish.kernel.errors import NotFound
from burnish.kernel.ids import ReleaseId, RunId
from burnish.models.model import UnknownModel
from burnish.releases.model import (
    ModelVersion,
    Release,
    ReleaseEvent,
    StaleGeneration,
    follow,
    numbers,
)
from burnish.releases.ports import Replica


class SqlReleases:
    """Implements `releases.ports.ReleaseStore` inside one transaction."""

    def __init__(self, connection: Connection, clock: Clock, locks: Locks) -> None:
        self._connection = connection
        self._clock = clock
        self._locks = locks

    def add(self, release: Release) -> Release:
        """Store a new release; one of the same run already there is returned instead."""
        if insert_new(self._connection, releases, columns(release), unless_same="run"):
            return release
        query = select(releases).where(releases.c.run == release.run)
        return read(self._connection.execute(query).mappings().one(), Release)

    def get(self, release: ReleaseId) -> Release:
        """Return a release. Raises NotFound."""
        query = select(releases).where(releases.c.id == release)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound.of("release", release)
        return read(row, Release)

    def history(self, model: str | None = None) -> list[Release]:
        """Return the releases of a model, or of all, newest first."""
        query = select(releases).order_by(releases.c.created_at.desc(), releases.c.id.desc())
        if model is not None:
            query = query.where(releases.c.model == model)
        return [read(row, Release) for row in self._connection.execute(query).mappings()]

    def active(self, model: str) -> Release | None:
        """Return the release that serving follows, if there is one."""
        pointer = self._pointer(model)
        return self.get(pointer.active_release) if pointer.active_release else None

    def activate(
        self, model: str, target: ReleaseId, *, leave: ReleaseEvent, expected: int
    ) -> Release:
        """Move the pointer iff its generation is `expected`; else raise StaleGeneration."""
        before = self.active(model)
        promoted = self.get(target)
        state = follow(promoted, ReleaseEvent.PROMOTE)
        moved = self._connection.execute(
            update(models)
            .where(models.c.name == model, models.c.generation == expected)
            .values(generation=expected + 1, active_release=target)
        )
        if moved.rowcount != 1:
            now_at = self._pointer(model).generation
            raise StaleGeneration(
                f"Model {model!r} is at generation {now_at}, not {expected}: "
                "another release or rollback came first. Read it again.",
                model=model,
                generation=now_at,
            )
        now = self._clock()
        if before is not None:
            self._change(before.id, state=follow(before, leave), ended_at=now)
        self._change(
            target,
            state=state,
            generation=expected + 1,
            previous=before.id if before else None,
            deployed_at=now,
            ended_at=None,
        )
        return self.get(target)

    def end(self, release: ReleaseId, event: ReleaseEvent, reason: str) -> Release:
        """Take a release that was never promoted out of the race. Raises IllegalTransition."""
        found = self.get(release)
        if self._locks.model(found.model):
            found = self.get(release)
        state = follow(found, event)
        self._change(release, state=state, ended_at=self._clock(), reason=reason)
        return self.get(release)

    def _change(self, release: ReleaseId, **values: Any) -> None:
        self._connection.execute(update(releases).where(releases.c.id == release).values(values))

    def _pointer(self, model: str) -> Row[int, str | None]:
        self._locks.model(model)
        query = select(models.c.generation, models.c.active_release).where(models.c.name == model)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise UnknownModel.of("model", model)
        return row


class SqlVersions:
    """Implements `releases.ports.VersionStore` inside one transaction."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, version: ModelVersion) -> ModelVersion:
        """Store a version; one of the same run already there is returned instead."""
        added = insert_new(self._connection, model_versions, columns(version), unless_same="run")
        known = None if added else self.of_run(version.run)
        return known or version

    def get(self, model: str, version: str) -> ModelVersion:
        """Return a version. Raises NotFound."""
        query = select(model_versions).where(
            model_versions.c.model == model, model_versions.c.version == version
        )
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound.of("model version", f"{model} {version}")
        return read(row, ModelVersion)

    def of_run(self, run: RunId) -> ModelVersion | None:
        """Return what a run has trained, if it has."""
        query = select(model_versions).where(model_versions.c.run == run)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, ModelVersion)

    def of_model(self, model: str) -> list[ModelVersion]:
        """Return the versions of a model, newest first."""
        query = select(model_versions).where(model_versions.c.model == model)
        versions = [read(row, ModelVersion) for row in self._connection.execute(query).mappings()]
        return sorted(versions, key=lambda version: numbers(version.version), reverse=True)

    def latest(self, model: str) -> ModelVersion | None:
        """Return the version of the greatest number, if there is one."""
        self._locks.model(model)
        return next(iter(self.of_model(model)), None)


class SqlReplicas:
    """Implements `releases.ports.ReplicaStore` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def report(self, replica: Replica) -> None:
        """Keep what a replica says of itself."""
        values = columns(replica)
        statement = inserting(self._connection, replicas)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_=values), values
        )

    def list(self) -> list[Replica]:
        """Return all replicas by id."""
        rows = self._connection.execute(select(replicas)).mappings()
        return sorted((read(row, Replica) for row in rows), key=lambda replica: replica.id)
