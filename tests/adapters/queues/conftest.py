import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.objects import LocalObjects
from burnish.adapters.prediction_lookup import PredictionLookup
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.spool.log import Spool, SpoolSettings
from burnish.adapters.spool.quarantine import QuarantineSpool
from burnish.adapters.spool.shipper import Shipper, ShipperSettings
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.quarantine import SqlQuarantineIndex
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.feedback.model import ModelFacts, Published
from burnish.ingest.intake import Intake
from burnish.ingest.records import Records
from burnish.kernel.errors import Unavailable

DEADLINE_S = 60


class Publishing:
    """A directory that may be out of reach."""

    def __init__(self) -> None:
        self.there = True

    def current(self) -> Published:
        if not self.there:
            raise Unavailable("nothing is published")
        facts = ModelFacts(labels=("good", "defect"), kind="image-classification")
        return Published(models={"laundry": facts}, keys=())


class Harbour:
    """All that lies behind a queue in an ingest process, on a real disk and database."""

    def __init__(self, folder: Path, shard: str = "0", **sizes: int) -> None:
        self.folder = folder
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(self.engine)
        self.objects = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
        self.directory = Publishing()
        self.metrics = IngestMetrics(CollectorRegistry())
        self.spool = Spool(
            folder / "spool" / shard,
            shard=shard,
            history=self.log(),
            clock=utc_now,
            meter=self.metrics,
            failed=lambda error: None,
            settings=SpoolSettings(**sizes),
        )
        self.rejected = QuarantineSpool(
            self.spool.folder / "quarantine",
            self.objects,
            index=SqlQuarantineIndex(self.engine),
            reserve=self.spool.reserve,
            meter=self.metrics,
            failed=lambda error: None,
        )
        self.shipper = Shipper(
            self.spool,
            self.objects,
            SqlManifest(self.engine),
            meter=self.metrics,
            settings=ShipperSettings(seal_seconds=3600.0),
        )
        self.shipper.start()
        records = Records(
            log=self.spool,
            quarantine=self.rejected,
            predictions=PredictionLookup(SqlPredictions(self.engine)),
            meter=self.metrics,
            clock=utc_now,
            cap=1 << 16,
        )
        self.intake = Intake(records, self.directory, cap=1 << 20)
        self._running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, threading.Thread]] = []

    def log(self) -> RawLogReader:
        return RawLogReader(self.objects, self.engine)

    def run(self, queue: Any) -> Callable[[], None]:
        """Read a queue on an event loop of its own; what it returns asks it to stop, and waits."""
        ready = threading.Event()

        async def main() -> None:
            stop = asyncio.Event()
            self._running.append((asyncio.get_running_loop(), stop, threading.current_thread()))
            ready.set()
            await queue.run(stop)

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        ready.wait()
        loop, stop, _ = self._running[-1]

        def end() -> None:
            with suppress(RuntimeError):  # it has ended, and its loop with it
                loop.call_soon_threadsafe(stop.set)
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

        return end

    def seal(self) -> int:
        """Persist what is accepted; return the offset."""
        done = threading.Event()
        reached: list[int] = []

        def tell(offset: int) -> None:
            reached.append(offset)
            done.set()

        self.shipper.seal(tell)
        assert done.wait(DEADLINE_S)
        return reached[0]

    def ids(self) -> list[str]:
        """Seal, and return the ids in the raw log by offset."""
        end = self.seal()
        return [one.id for one in self.log().read(self.spool.shard, 0, end)]

    def quarantine(self) -> list[dict[str, Any]]:
        """Every line, wherever on its way to the object store it is."""
        files = []
        for path in (self.spool.folder / "quarantine").rglob("*.ndjson"):
            with suppress(FileNotFoundError):
                files.append(path.read_bytes())
        files += [self.objects.get(key) for key in self.objects.list("quarantine/")]
        return [json.loads(line) for line in dict.fromkeys(b"".join(files).splitlines())]

    def close(self) -> None:
        for loop, stop, thread in self._running:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
            thread.join(DEADLINE_S)
        self.shipper.close(deadline_s=DEADLINE_S)
        self.rejected.close(deadline_s=DEADLINE_S)
        self.spool.close()
        self.engine.dispose()


def record(number: int | str = 1, **changes: Any) -> dict[str, Any]:
    return {
        "source": "app",
        "id": f"r-{number}",
        "model": "laundry",
        "subject_id": f"task-{number}",
        "predicted": "good",
        "final": "defect",
        "corrected": True,
        "actor": "kim",
        "occurred_at": "2026-05-01T10:00:00+09:00",
        "payload": "burnish:sha256:" + "ab" * 32,
    } | changes


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds, and return what it is."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to hold in time")


@pytest.fixture(name="eventually")
def _eventually() -> Any:
    return eventually


@pytest.fixture(name="record")
def _record() -> Any:
    return record


@pytest.fixture
def new_harbour(tmp_path: Path) -> Iterator[Callable[..., Harbour]]:
    made: list[Harbour] = []

    def make(**options: Any) -> Harbour:
        made.append(Harbour(tmp_path, **options))
        return made[-1]

    yield make
    for harbour in made:
        harbour.close()


@pytest.fixture
def harbour(new_harbour: Callable[..., Harbour]) -> Harbour:
    return new_harbour()
