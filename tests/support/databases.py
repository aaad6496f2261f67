"""The metadata database, on each that there is: whoever asks for `engine` is run on all of them."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from burnish.adapters import durable
from burnish.adapters.durable import DbosMessenger
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.migrate import upgrade
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id
from support.postgres import Postgres

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
DIALECTS = ("sqlite", "postgresql")


def prepare(url: str) -> None:
    """Bring an empty database to our tables and the durable engine's."""
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    durable.migrate(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "burnish.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> str:
    name = postgres.create()
    prepare(postgres.url(name))
    return name


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with all tables, and nothing in them."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "burnish.db")
        yield f"sqlite:///{tmp_path / 'burnish.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("postgres_database")
    yield server.url(name)
    server.wipe(name)  # much faster than a database for each test


@pytest.fixture(params=DIALECTS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = make_engine(database)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", _unsynced)
    yield made
    made.dispose()


@pytest.fixture
def messenger(engine: Engine) -> Iterator[DbosMessenger]:
    made = DbosMessenger(engine)
    yield made
    made.close()


@pytest.fixture
def unit(engine: Engine, messenger: DbosMessenger) -> Callable[..., SqlUnit]:
    """Makes transactions that mean to write, or with `reads_only=True` only to look."""

    def make(*, reads_only: bool = False) -> SqlUnit:
        return SqlUnit(
            engine, clock=lambda: NOON, ids=new_id, messenger=messenger, reads_only=reads_only
        )

    return make


@contextmanager
def saved(unit: SqlUnit) -> Iterator[SqlUnit]:
    """Open a transaction, and commit it when the block ends without an error."""
    with unit:
        yield unit
        unit.commit()


def _unsynced(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # no test here cuts the power


logging.getLogger("dbos").setLevel(logging.WARNING)
