"""Connections on which the database itself refuses a write, read page by page.

PostgreSQL: the session defaults to read-only transactions, each of ours says READ ONLY besides, and
the server is asked whether it is. SQLite: the file is opened `mode=ro`, with `query_only` on.
A page is a transaction of its own, so that no snapshot is held open while it is stored.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from burnish.adapters.sources.places import SourceFailed, SourceMisfit, said
from burnish.feedback.tabular import Cursor, SourceRow
from burnish.kernel.policy import SqlSource

_CONNECT_S: Final = 10
_STATEMENT_S: Final = 300  # a page that takes longer wants an index
_BUSY_S: Final = 30
_WATERMARK: Final = "burnish watermark"  # names that no query uses by accident
_KEY: Final = "burnish key"
_SESSION: Final = (
    "SET default_transaction_read_only = on",
    f"SET statement_timeout = '{_STATEMENT_S}s'",
    f"SET idle_in_transaction_session_timeout = '{_STATEMENT_S}s'",
    "SET timezone = 'UTC'",  # a watermark's text must mean the same whenever it is read
    "SET datestyle = 'ISO'",
)


class Database(Protocol):
    """A connection that only reads."""

    def page(self, source: SqlSource, after: Cursor | None, limit: int) -> list[SourceRow]:
        """Return up to `limit` rows beyond a place, ascending by (watermark, key).

        Raises:
            SourceMisfit: the query is wrong, or tries to write.
            SourceFailed: the database does not answer; another attempt may succeed.
        """
        ...


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Connect to read. Raises SourceFailed, SourceMisfit."""
    connect = _SqliteFile if url.startswith("sqlite:") else _PostgresServer
    database = connect(url)
    try:
        yield database
    finally:
        database.close()


class _PostgresServer:
    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._connection = psycopg.connect(
                url, autocommit=True, connect_timeout=_CONNECT_S, row_factory=dict_row
            )
        except psycopg.ProgrammingError:  # it quotes the URL's parts, which it cannot tell apart
            raise SourceMisfit(
                "The URL is none: write postgresql://USER:PASSWORD@HOST/DATABASE, with %40 for @"
                " and %2F for / in the password."
            ) from None
        except psycopg.Error as error:
            raise SourceFailed(said(error, url)) from None
        try:
            for statement in _SESSION:
                self._connection.execute(statement)
            self._connection.autocommit = False
            self._connection.read_only = True
        except psycopg.Error as error:
            self._connection.close()
            raise SourceFailed(said(error, url)) from None

    def page(self, source: SqlSource, after: Cursor | None, limit: int) -> list[SourceRow]:
        watermark, key = (sql.Identifier("q", name) for name in (source.watermark, source.key))
        beyond = sql.SQL("({}, {}) > (%s, %s)").format(watermark, key)
        statement = sql.SQL(
            "SELECT q.*, {watermark}::text AS {w}, {key}::text AS {k} FROM (\n{query}\n) AS q"
            " WHERE {watermark} IS NOT NULL AND {key} IS NOT NULL AND {beyond}"
            " ORDER BY {watermark}, {key} LIMIT %s"
        ).format(
            watermark=watermark,
            key=key,
            w=sql.Identifier(_WATERMARK),
            k=sql.Identifier(_KEY),
            query=sql.SQL(_bare(source.query).replace("%", "%%")),
            beyond=beyond if after else sql.SQL("TRUE"),
        )
        try:
            with self._connection.transaction():
                self._check_read_only()
                rows = self._connection.execute(statement, [*(after or ()), limit]).fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SourceFailed(said(error, self._url)) from None
        except psycopg.Error as error:
            raise SourceMisfit(said(error, self._url)) from None
        return [_row(row) for row in rows]

    def _check_read_only(self) -> None:
        found = self._connection.execute("SHOW transaction_read_only").fetchone()
        if found is None or found["transaction_read_only"] != "on":
            raise SourceMisfit("The server does not keep the transaction read-only.")

    def close(self) -> None:
        self._connection.close()


class _SqliteFile:
    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(path)}?mode=ro",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA query_only = ON")
            if self._connection.execute("PRAGMA query_only").fetchone()[0] != 1:
                raise SourceMisfit("This SQLite does not keep a connection from writing.")
        except sqlite3.Error as error:
            raise SourceFailed(f"{path}: {error}") from None

    def page(self, source: SqlSource, after: Cursor | None, limit: int) -> list[SourceRow]:
        watermark, key = f'q."{source.watermark}"', f'q."{source.key}"'
        beyond = f"({watermark}, {key}) > (?1, ?2)" if after else "TRUE"
        # The columns are identifiers, as the policy was checked; the query is its owner's, and the
        # connection can only read.
        statement = (
            f'SELECT q.*, {watermark} AS "{_WATERMARK}", {key} AS "{_KEY}" FROM (\n'  # noqa: S608
            f"{_bare(source.query)}\n) AS q"
            f" WHERE {watermark} IS NOT NULL AND {key} IS NOT NULL AND {beyond}"
            f" ORDER BY {watermark}, {key} LIMIT {int(limit)}"
        )
        try:
            rows = self._connection.execute(statement, after or ()).fetchall()
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "disk" in str(error) or "unable to open" in str(error):
                raise SourceFailed(str(error)) from None
            raise SourceMisfit(str(error)) from None
        except sqlite3.Error as error:
            raise SourceMisfit(str(error)) from None
        return [_row(dict(row)) for row in rows]

    def close(self) -> None:
        self._connection.close()


def _bare(query: str) -> str:
    return query.strip().rstrip(";")


def _row(values: dict[str, Any]) -> SourceRow:
    place = values.pop(_WATERMARK), values.pop(_KEY)
    if not all(isinstance(one, (int, float, str)) for one in place):
        raise SourceMisfit("Watermark and key must be numbers or texts, not blobs.")
    return SourceRow(place=place, values=values)
