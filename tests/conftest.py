"""A small world on disk, of real parts: database, object store, raw log, and what reads them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import Engine

from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader, encode, object_key
from burnish.adapters.sql.datasets import DatasetStore
from burnish.adapters.sql.engine import make_engine, writing
from burnish.adapters.sql.feedback import FeedbackStore
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.runs import SqlRuns
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.trail import SqlAudit, SqlOutbox
from burnish.adapters.sql.triggers import DecisionStore
from burnish.datasets.service import DatasetService
from burnish.feedback.model import FeedbackRecord, RawObject, RawRecord
from burnish.feedback.parse import PLAIN, record_of
from burnish.feedback.service import project
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.digest import digest
from burnish.kernel.ids import RunId
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import Cause, Run, RunState
from burnish.triggers.model import Decision, DecisionEntry
from burnish.triggers.service import consider

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Unit:
    """One transaction over the stores of feedback, datasets and triggers."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def __enter__(self) -> Self:
        self._transaction = writing(self._engine)
        self.connection = self._transaction.__enter__()
        self._committed = False
        self.feedback = FeedbackStore(self.connection)
        self.datasets = DatasetStore(self.connection)
        self.decisions = DecisionStore(self.connection)
        self.runs = SqlRuns(self.connection)
        self.audit = SqlAudit(self.connection, self._clock)
        self.outbox = SqlOutbox(self.connection, self._clock, "")
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
        self._committed = True


class Starter:
    """Starts runs as the pipeline does, without an engine behind them."""

    def active(self, unit: Unit, model: str) -> bool:
        return unit.runs.active(model) is not None

    def start(
        self, unit: Unit, policy: ModelPolicy, decision: Decision, offsets: Offsets, *, actor: Actor
    ) -> RunId | None:
        if self.active(unit, policy.name):
            return None
        cause = Cause(rule=decision.rule, reason=decision.reason, corrections=decision.corrections)
        run = Run(
            id=RunId(f"run-{len(unit.runs.newest(policy.name)) + 1}"),
            model=policy.name,
            state=RunState.WAITING,
            revision=1,
            cause=cause,
            offsets=offsets,
            policy_digest=policy.digest,
            trace_id=actor.trace_id,
            created_at=NOON,
        )
        unit.runs.add(run)
        unit.audit.record(actor, "run.started", f"run:{run.id}", reason=decision.reason)
        return run.id


class World:
    """Everything that feedback passes through until it is a dataset or a decision."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(self.engine)
        self.objects = LocalObjects(
            folder / "objects", base_url="http://here", secret=b"s" * 32, clock=lambda: self.now
        )
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.predictions = SqlPredictions(self.engine)
        self.service = DatasetService(
            raw_log=self.raw_log,
            parse=record_of,
            predictions=self.predictions,
            objects=self.objects,
            units=self.unit,
            clock=lambda: self.now,
            tools={"burnish": "test"},
        )

    def unit(self) -> Unit:
        return Unit(self.engine, lambda: self.now)

    def photo(self, content: str) -> str:
        """Store a payload and return its URI."""
        address = digest(content.encode())
        self.objects.put(payload_key(address), content.encode())
        return f"burnish:{address}"

    def say(self, *records: FeedbackRecord | str, shard: str = "0") -> None:
        """Persist records, or bodies that are none, as one object of the raw log."""
        first = self.raw_log.end().get(shard, 0)
        lines = [
            RawRecord(
                offset=offset,
                received_at=NOON + timedelta(seconds=offset),
                source="app" if isinstance(said, str) else said.source,
                id=f"{shard}-{offset}" if isinstance(said, str) else said.id,
                content_type=PLAIN,
                body=said if isinstance(said, str) else body(said),
            )
            for offset, said in enumerate(records, first)
        ]
        data = encode(lines)
        key = object_key(shard, first, lines[-1].offset, NOON)
        self.objects.put(key, data)
        SqlManifest(self.engine).commit(
            RawObject(
                shard=shard,
                first_offset=first,
                last_offset=lines[-1].offset,
                key=key,
                sha256=digest(data),
                records=len(lines),
                bytes=len(data),
            )
        )

    def project(self) -> list[str]:
        return project(self.raw_log, self.unit(), record_of)

    def consider(
        self, policy: ModelPolicy, *, operator: str | None = None, after: timedelta = timedelta(0)
    ) -> DecisionEntry:
        return consider(
            self.unit(),
            Starter(),
            self.predictions,
            policy,
            now=NOON + after,
            operator=operator,
        )


def body(record: FeedbackRecord) -> str:
    fields = {name: value for name, value in structs.asdict(record).items() if value is not None}
    return msgspec.json.encode(fields).decode()


def record(subject: str, final: str, **changes: Any) -> FeedbackRecord:
    fields = {
        "source": "app",
        "id": f"about-{subject}",
        "model": "laundry",
        "subject_id": subject,
        "final": final,
        "corrected": True,
        "occurred_at": NOON,
        "schema_version": 1,
        "actor": "kim",
        "payload": f"burnish:{digest(subject.encode())}",
    }
    return FeedbackRecord(**(fields | changes))


@pytest.fixture(scope="session")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], World]]:
    worlds: list[World] = []

    def make() -> World:
        worlds.append(World(tmp_path_factory.mktemp("world")))
        return worlds[-1]

    yield make
    for world in worlds:
        world.engine.dispose()


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    return new_world()


@pytest.fixture(scope="session")
def about() -> Callable[..., FeedbackRecord]:
    """Makes a feedback record about a subject."""
    return record
