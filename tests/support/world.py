"""A small world on disk, of real parts: database, object store, raw log, and what reads them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from sqlalchemy import Connection, event

from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader, encode, object_key
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id
from burnish.datasets.service import DatasetService
from burnish.feedback.model import FeedbackRecord, RawObject, RawRecord
from burnish.feedback.parse import PLAIN, record_of
from burnish.feedback.service import project
from burnish.kernel.audit import SYSTEM
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from burnish.models.service import apply_policy
from burnish.triggers.model import DecisionEntry
from burnish.triggers.service import consider

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Engine:
    """Stands where the durable engine does, and only notes what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, connection: Connection, half: str, run: str) -> None:
        del connection, half
        self.begun.append(run)

    def wake(self, connection: Connection, run: str, key: str) -> None:
        raise AssertionError("nothing waits here")


class World:
    """Everything that feedback passes through until it is a dataset or a decision."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.now = NOON
        self.durable = Engine()
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        event.listen(self.engine, "connect", _unsynced)
        metadata.create_all(self.engine)
        self.objects = LocalObjects(
            folder / "objects", base_url="http://here", secret=b"s" * 32, clock=lambda: self.now
        )
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.predictions = SqlPredictions(self.engine)
        self.service = DatasetService(
            raw_log=self.raw_log,
            parse=record_of,
            objects=self.objects,
            units=self.unit,
            clock=lambda: self.now,
            tools={"burnish": "test"},
        )

    def unit(self) -> AbstractContextManager[SqlUnit]:
        """Open a transaction that commits at the end of its block."""
        return self._unit().saved()

    def apply(self, policy: ModelPolicy) -> ModelPolicy:
        """Make the policy the one of its model."""
        with self.unit() as unit:
            known = unit.models.find(policy.name)
        revision = None if known is None else known.revision
        apply_policy(self._unit(), policy, expected=revision, actor=SYSTEM)
        return policy

    def _unit(self) -> SqlUnit:
        return SqlUnit(self.engine, clock=lambda: self.now, ids=new_id, messenger=self.durable)

    def photo(self, content: str) -> str:
        """Store a payload and return its URI; unsynced, since a test stores very many."""
        address = digest(content.encode())
        path = self._folder / "objects" / payload_key(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
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
        return project(self.raw_log, self.unit, record_of)

    def consider(
        self, policy: ModelPolicy, *, operator: str | None = None, after: timedelta = timedelta(0)
    ) -> DecisionEntry:
        return consider(self.unit, policy, now=NOON + after, operator=operator)


def _unsynced(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # no test here cuts the power


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
