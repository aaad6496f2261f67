"""The one place where database engines are made; every role and DBOS share what it returns."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import QueuePool

from burnish.adapters.crash import expected
from burnish.adapters.sql.commits import die_around_commits
from burnish.kernel.errors import InvalidInput, Unavailable

BUSY_TIMEOUT_S: Final = 30  # a writer waits so long for another one, on either database
IDLE_TIMEOUT_S: Final = 60  # a transaction at rest for longer is dead, and its locks go
POOL_SIZE: Final = 5
MAX_OVERFLOW: Final = 15  # four roles then stay below the 100 connections of a fresh PostgreSQL
WAL_SAFE_SINCE = (3, 51, 3)  # before it, SQLite could reset a WAL that another writer was using


class DatabaseUnreachable(Unavailable):
    """The metadata database does not answer, is not there, or does not let us in."""

    code = "database.unreachable"


def database_url(text: str) -> URL:
    """Return the URL of a database with the driver that we use for it. Raises InvalidInput.

    >>> database_url("postgresql://ann@db/burnish").drivername
    'postgresql+psycopg'
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise InvalidInput(f"database.url cannot be read: {_FIX}", field="database.url") from error
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return url
        case "postgresql" | "postgresql+psycopg":
            return url.set(drivername="postgresql+psycopg")
    raise InvalidInput.of("database.url", url.render_as_string(hide_password=True), _FIX)


_FIX: Final = "give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def make_engine(text: str) -> Engine:
    """Return an engine for a database URL, set up so that many processes may write at once.

    Raises InvalidInput for a URL of another database.
    """
    url = database_url(text)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    if expected("commit."):
        die_around_commits(engine)
    return engine


def reach(engine: Engine) -> None:
    """Return once the database answers. Raises DatabaseUnreachable if it does not."""
    try:
        engine.connect().close()
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        why = str(error.orig).partition("\n")[0]
        raise DatabaseUnreachable(
            f"{where} does not answer ({why}): start it, create it, or correct database.url."
        ) from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that means to write, commit it at the end, roll it back on an error.

    On SQLite it takes the write lock at once: what it reads stays true until it commits, and it
    waits its turn instead of failing when it turns from reader to writer. On PostgreSQL it takes
    nothing yet; what must stay true is locked where it is read, see `locks`.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=5,
        max_overflow=20,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    journal = "WAL" if sqlite3.sqlite_version_info >= WAL_SAFE_SINCE else "TRUNCATE"

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # for writers that do not come through `writing`
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'")
        connection.commit()  # or the pool's rollback would take both back

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        # SQLite keeps any text; PostgreSQL refuses one that is too long or holds a NUL, and a
        # number that is too large: whoever sent it is told so.
        if isinstance(context.original_exception, psycopg.DataError):
            detail = str(context.original_exception).partition("\n")[0]
            raise InvalidInput(f"The database does not take a value: {detail}.")

    return engine
