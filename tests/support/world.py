"""A small world on disk, of real parts: database, object store, raw log, and what reads them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.raw_object import encode, object_key
from burnish.adapters.sql.payloads import Seen, SqlPayloads
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.datasets.reading import SerialReader
from burnish.datasets.service import DatasetService
from burnish.feedback.model import FeedbackRecord, RawObject, RawRecord
from burnish.feedback.parse import PLAIN, record_of
from burnish.feedback.service import project
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Ask, DecisionEntry
from burnish.triggers.service import consider
from support.ledger import NOON, Ledger


class World(Ledger):
    """Everything that feedback passes through until it is a dataset or a decision."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self.objects = LocalObjects(
            folder / "objects", base_url="http://here", secret=b"s" * 32, clock=self.clock
        )
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.predictions = SqlPredictions(self.engine)
        self.service = DatasetService(
            raw_log=self.raw_log,
            reader=SerialReader(self.raw_log, record_of),
            objects=self.objects,
            units=self.unit,
            clock=self.clock,
            tools={"burnish": "test"},
        )

    def photo(self, content: str) -> str:
        """Store a payload and return its URI; unsynced, since a test stores very many."""
        address = digest(content.encode())
        path = self._folder / "objects" / payload_key(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
        return f"burnish:{address}"

    def looks_at(self, *contents: str, shows: str | None = "") -> None:
        """Note what photos show: itself each, or what another one shows, or nothing at all."""
        payloads = SqlPayloads(self.engine)
        payloads.see(
            [
                Seen(
                    sha256=digest(content.encode()),
                    pixels=None if shows is None else digest((shows or content).encode()),
                )
                for content in contents
            ],
            expected=payloads.noted().contents,
        )

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
        now = NOON + after
        ask = operator and Ask(actor="kim", reason=operator, at=now)
        return consider(self.unit, self.view, policy, now=now, ask=ask or None)


def body(record: FeedbackRecord) -> str:
    fields = {name: value for name, value in structs.asdict(record).items() if value is not None}
    return msgspec.json.encode(fields).decode()


def record(subject: str, final: str = "good", **changes: Any) -> FeedbackRecord:
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
