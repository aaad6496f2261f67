"""The unit of work: one transaction, with every store of every room on its connection."""

from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy import Connection, Engine

from burnish.adapters.sql.datasets import DatasetStore
from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.erasures import SqlTombstones
from burnish.adapters.sql.feedback import FeedbackStore
from burnish.adapters.sql.jobs import SqlJobs
from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.looks import SqlLooks
from burnish.adapters.sql.models import SqlModels
from burnish.adapters.sql.monitoring import SqlOutcomes
from burnish.adapters.sql.payloads import SqlPayloads
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.quarantine import QuarantineStore
from burnish.adapters.sql.releases import SqlReleases, SqlReplicas, SqlVersions
from burnish.adapters.sql.runs import SqlEvaluations, SqlRuns
from burnish.adapters.sql.trail import SqlAudit, SqlOutbox
from burnish.adapters.sql.triggers import DecisionStore
from burnish.kernel.clock import Clock
from burnish.kernel.ids import Ids
from burnish.pipeline.starting import RunStarting


class Messenger(Protocol):
    """The durable engine's side of a transaction: what it is told leaves with the commit."""

    def begin(self, connection: Connection, half: str, run: str) -> None:
        """Start a half of a run."""
        ...

    def wake(self, connection: Connection, run: str, key: str) -> None:
        """Wake a waiting run."""
        ...


class _Tied:
    """A messenger tied to a transaction: implements `Starter` and `Signals`."""

    def __init__(self, messenger: Messenger, connection: Connection) -> None:
        self._messenger = messenger
        self._connection = connection

    def begin(self, half: str, run: str) -> None:
        self._messenger.begin(self._connection, half, run)

    def wake(self, run: str, key: str) -> None:
        self._messenger.wake(self._connection, run, key)


class SqlUnit:
    """One transaction; `with` begins it, `commit` makes it durable, leaving without undoes it.

    What a unit that writes has read of a model, its runs, or a job stays true until it ends
    (`Locks`).
    A unit that only reads takes no lock and sees what is committed at each look.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock,
        ids: Ids,
        messenger: Messenger,
        trace_id: str = "",
        reads_only: bool = False,
    ) -> None:
        self._open = engine.connect if reads_only else partial(writing, engine)
        self._reads_only = reads_only
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._messenger = messenger
        self._trace_id = trace_id

    def __enter__(self) -> Self:
        self._transaction: AbstractContextManager[Connection] = self._open()
        connection = self._transaction.__enter__()
        self._committed = False
        self.connection = connection
        locks = Locks(connection, reads_only=self._reads_only)
        self.models = SqlModels(connection, self._clock, locks)
        self.releases = SqlReleases(connection, self._clock, locks)
        self.versions = SqlVersions(connection, locks)
        self.replicas = SqlReplicas(connection)
        self.jobs = SqlJobs(connection, locks)
        self.runs = SqlRuns(connection, locks)
        self.evaluations = SqlEvaluations(connection)
        self.audit = SqlAudit(connection, self._clock, locks)
        self.outbox = SqlOutbox(connection, self._clock, self._trace_id, locks)
        self.feedback = FeedbackStore(connection)
        self.quarantine = QuarantineStore(connection)
        self.predictions = SqlPredictions(self._engine)
        self.payloads = SqlPayloads(self._engine)
        self.datasets = DatasetStore(connection, locks)
        self.looks = SqlLooks(connection)
        self.tombstones = SqlTombstones(connection)
        self.decisions = DecisionStore(connection)
        self.outcomes = SqlOutcomes(connection)
        self.audit_log = self.audit
        self.events = self.notices = self.outbox
        self.starter = self.signals = _Tied(self._messenger, connection)
        self.run_starter = RunStarting(self, clock=self._clock, ids=self._ids)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and not self._committed:
            self.connection.rollback()
        self._transaction.__exit__(kind, error, trace)

    def commit(self) -> None:
        """Make every change durable when the block ends."""
        self._committed = True
