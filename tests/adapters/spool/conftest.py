import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.spool.log import Spool, SpoolSettings
from burnish.adapters.spool.shipper import Shipper, ShipperSettings
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.feedback.model import Incoming, RawRecord, Receipt
from burnish.feedback.ports import Receipts
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError

DEADLINE_S = 20
SHARD = "7"


class Unreliable:
    """An object store that is out of reach while `down`, and may lose its answer once."""

    def __init__(self, objects: LocalObjects) -> None:
        self._objects = objects
        self.down = False
        self.lose_answers = 0
        self.attempts = 0

    def put(self, key: str, data: bytes) -> None:
        self.attempts += 1
        if self.down:
            raise OSError("the store is out of reach")
        self._objects.put(key, data)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TimeoutError("the answer was lost")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


class Bench:
    """A spool, its raw log, and all that may happen to them; on a real disk and database."""

    def __init__(self, folder: Path, **sizes: int) -> None:
        self.folder = folder
        self.settings = SpoolSettings(**sizes)
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(self.engine)
        local = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
        self.objects = Unreliable(local)
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.metrics = IngestMetrics(CollectorRegistry())
        self.failures: list[BaseException] = []
        self.clock: Clock = utc_now
        self.shipper: Shipper | None = None
        self.is_open = False
        self.open()

    def open(self) -> None:
        self.spool = Spool(
            self.folder / "spool",
            shard=SHARD,
            history=self.raw_log,
            clock=self.now,
            meter=self.metrics,
            failed=self.failures.append,
            settings=self.settings,
        )
        self.is_open = True

    def now(self) -> datetime:
        return self.clock()

    def start_shipper(self, **settings: Any) -> Shipper:
        fast = {"seal_seconds": 3600.0, "retry_first_s": 0.01, "retry_cap_s": 0.02} | settings
        self.shipper = Shipper(
            self.spool,
            self.objects,
            SqlManifest(self.engine),
            meter=self.metrics,
            settings=ShipperSettings(**fast),
        )
        self.shipper.start()
        return self.shipper

    def stop_shipper(self, *, deadline_s: float = DEADLINE_S) -> bool:
        shipper, self.shipper = self.shipper, None
        return shipper is None or shipper.close(deadline_s=deadline_s)

    def append(self, *records: Incoming) -> Sequence[Receipt]:
        return waited(lambda done: self.spool.append(records, done))

    def ship(self) -> int:
        """Seal everything and wait until it is persisted."""
        shipper = self.start_shipper()
        persisted = waited(shipper.seal)
        assert self.stop_shipper()
        return int(persisted)

    def persisted(self) -> list[RawRecord]:
        return list(self.raw_log.read(SHARD, 0, self.raw_log.end().get(SHARD, 0)))

    def last_segment(self) -> Path:
        return max((self.folder / "spool" / "segments").glob("*.seg"))

    def written(self) -> int:
        """Return how long the last segment is without the zeros behind its frames."""
        return len(self.last_segment().read_bytes().rstrip(b"\0"))

    def tear(self, torn: bytes) -> None:
        """Write what is no frame behind the last segment's frames."""
        place = self.written()
        with self.last_segment().open("r+b") as file:
            file.seek(place)
            file.write(torn)

    def close(self) -> None:
        self.stop_shipper(deadline_s=0)
        if self.is_open:
            self.is_open = False
            self.spool.close()

    def tear_down(self) -> None:
        self.close()
        self.engine.dispose()


def waited(start: Callable[[Callable[[Any], None]], None]) -> Any:
    """Return what is handed to the callback of an asynchronous call; raise it if it is an error."""
    ready = threading.Event()
    answers: list[Receipts | int | None] = []

    def done(answer: Any) -> None:
        answers.append(answer)
        ready.set()

    start(done)
    assert ready.wait(DEADLINE_S), "no answer in time"
    if isinstance(answers[0], BurnishError):
        raise answers[0]
    return answers[0]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def incoming(number: int, body: str = "{}", source: str = "app") -> Incoming:
    return Incoming(
        source=source, id=f"r-{number}", content_type="application/json", body=body.encode()
    )


@pytest.fixture(name="make_bench")
def _make_bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(folder: Path, **sizes: int) -> Bench:
        made.append(Bench(folder, **sizes))
        return made[-1]

    yield make
    for bench in made:
        bench.tear_down()


@pytest.fixture(name="bench")
def _bench(make_bench: Callable[..., Bench], tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


@pytest.fixture(name="incoming")
def _incoming() -> Callable[..., Incoming]:
    return incoming


@pytest.fixture(name="waited")
def _waited() -> Callable[..., Any]:
    return waited


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., None]:
    return eventually
