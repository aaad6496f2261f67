"""Units of work on a real SQLite file, with a messenger that notes what it is told."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.models.service import apply_policy
from burnish.pipeline import service as runs
from burnish.pipeline.model import Cause, Run

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Messages:
    """Stands where the durable engine does: notes which halves began and which runs were woken."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.woken: list[tuple[str, str]] = []

    def begin(self, connection: Connection, half: str, run: str) -> None:
        del connection
        self.begun.append((half, run))

    def wake(self, connection: Connection, run: str, key: str) -> None:
        del connection
        self.woken.append((run, key))


class Ledger:
    """A metadata database and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.messages = Messages()
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")

        @event.listens_for(self.engine, "connect")
        def hurry(connection: object, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

        metadata.create_all(self.engine)

    def unit(self) -> SqlUnit:
        return SqlUnit(self.engine, clock=self.clock, ids=new_id, messenger=self.messages)

    def view(self) -> SqlUnit:
        return SqlUnit(
            self.engine, clock=self.clock, ids=new_id, messenger=self.messages, reads_only=True
        )

    def clock(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def apply(self, policy: ModelPolicy) -> ModelPolicy:
        """Make the policy the one of its model."""
        with self.view() as view:
            known = view.models.find(policy.name)
        revision = None if known is None else known.revision
        apply_policy(self.unit(), policy, expected=revision, actor=SYSTEM)
        return policy


def start_run(unit: SqlUnit, *, now: datetime) -> Run:
    with unit:
        run = runs.start(
            unit,
            id_=RunId(new_id()),
            model="laundry",
            cause=Cause(rule="corrections", reason="enough", corrections=100),
            offsets={"0": 100},
            trace_id="0" * 32,
            actor=SYSTEM,
            now=now,
        )
        unit.commit()
    assert run is not None
    return run


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Ledger]]:
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(Ledger(tmp_path_factory.mktemp("ledger")))
        return made[-1]

    yield make
    for ledger in made:
        ledger.engine.dispose()


@pytest.fixture
def ledger(new_ledger: Callable[[], Ledger]) -> Ledger:
    return new_ledger()
