"""Feedback from a PostgreSQL table that an application inserts into in its own transactions."""

import asyncio
import time
from functools import partial
from typing import Any, Final, LiteralString

import psycopg
import structlog
from msgspec import Struct
from psycopg import AsyncConnection, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from burnish.adapters.backoff import CAP_S, FIRST_S, Stopped, keep_trying, until
from burnish.adapters.queues.postgres_cursor import Cursor, Place, Progress
from burnish.adapters.queues.postgres_days import Days
from burnish.adapters.queues.postgres_sql import QueueSql
from burnish.feedback.ports import Intake
from burnish.kernel.errors import InvalidInput, Unavailable

_log = structlog.get_logger("burnish.postgres_queue")

_ROWS: Final = 500  # of one batch: their records share a sync
_BYTES: Final = 8 << 20  # of one batch; its last row may go beyond
_CONNECT_S: Final = 10
_SILENT_MS: Final = 30_000  # a server that vanished without a word is noticed after it
_TIDY_S: Final = 30.0  # between two looks at the partitions
_HELD_BACK_S: Final = 60.0  # a transaction that is open for longer is worth a word
_OLDEST: Final = 130_000  # server version: the first with xid8

Row = tuple[bytes, int, bytes, bytes]  # txid, id, content type, body
Connection = AsyncConnection[tuple[Any, ...]]


class PostgresQueueSettings(Struct, frozen=True, kw_only=True):
    """Which table, and how it is read."""

    url: str  # postgresql://USER:PASSWORD@HOST/DATABASE
    table: str
    poll_s: float = 0.5
    retry_first_s: float = FIRST_S
    retry_cap_s: float = CAP_S


class PostgresQueue:
    """Reads one table until told to stop, each row once its transaction can have no elder.

    Batch by batch: read, make durable, move the cursor. A crash in between reads a batch again,
    which does no harm. Days are dropped once all their rows are in the raw log.

    Raises InvalidInput if the settings cannot be.
    """

    name = "postgres-queue"

    def __init__(self, settings: PostgresQueueSettings, intake: Intake, spool: Progress) -> None:
        self._settings, self._intake, self._spool = settings, intake, spool
        self._sql = QueueSql(settings.table)
        self._place = _place(settings.url)
        self._lost: str | None = "It is not connected yet."
        self._held: str | None = None
        self._behind: str | None = None

    def trouble(self) -> str | None:
        """Say why nothing comes from it, and what to do; None if all is well."""
        return self._lost or self._held or self._behind

    async def run(self, stop: asyncio.Event) -> None:
        """Read until the event; connect again, however often that takes."""
        try:
            await keep_trying(
                partial(self._session, stop),
                stop=stop,
                failed=self._failed,
                first_s=self._settings.retry_first_s,
                cap_s=self._settings.retry_cap_s,
            )
        except Stopped:
            _log.info("postgres_queue.stopped", lost=self._lost)

    async def _session(self, stop: asyncio.Event) -> None:
        """Read over one connection. Raises what ended it, returns once told to stop."""
        async with await AsyncConnection.connect(
            self._settings.url,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name="burnish-ingest",
            client_encoding="UTF8",
            tcp_user_timeout=_SILENT_MS,
        ) as connection:
            connection.adapters.register_loader("text", _Verbatim)
            await self._claim(connection)
            await self._install(connection)
            await connection.execute(self._sql.restamp)
            await connection.execute(self._sql.rewind)
            cursor = Cursor.resumed(self._spool, await self._stored(connection))
            # A cursor that a power cut sets back only means that some rows are read again.
            await connection.execute("SET synchronous_commit = off")
            self._lost = None
            _log.info("postgres_queue.reading", server=self._place, table=self._sql.table)
            await self._read(connection, cursor, stop)

    async def _read(self, connection: Connection, cursor: Cursor, stop: asyncio.Event) -> None:
        days, tidy_at = Days(connection, self._sql), 0.0
        while not stop.is_set():
            rows = await self._next(connection, cursor.taken)
            if rows:
                await self._take(rows, stop)
                cursor.take(Place(int(rows[-1][0]), rows[-1][1]))
            if cursor.settle() or rows:
                await connection.execute(self._sql.save, cursor.row())
            if time.monotonic() >= tidy_at:
                await days.tidy(cursor.persisted)
                await self._look_behind(connection)
                tidy_at = time.monotonic() + _TIDY_S
            if not rows:
                await until(stop, timeout_s=self._settings.poll_s)

    async def _look_behind(self, connection: Connection) -> None:
        """Note if a transaction stays open for so long that rows wait for its end."""
        seconds = (await _one(connection, self._sql.held_back))[0]
        self._behind = None
        if seconds is not None and seconds > _HELD_BACK_S:
            self._behind = (
                f"Rows of {seconds:.0f} s ago wait for a transaction that is still open on the "
                "server: look for the oldest xact_start in pg_stat_activity."
            )
            _log.warning("postgres_queue.held_back", seconds=round(seconds))

    async def _claim(self, connection: Connection) -> None:
        """Take the lock that makes us the table's only reader. Raises Unavailable."""
        if connection.info.server_version < _OLDEST:
            raise Unavailable("it is older than PostgreSQL 13")
        ours = await _one(
            connection,
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))",
            (f"burnish:{self._sql.table}",),
        )
        if not ours[0]:
            raise Unavailable("another ingest process reads the table; this one stands by")

    async def _install(self, connection: Connection) -> None:
        """Make the tables if any is missing."""
        missing = await _one(
            connection,
            "SELECT to_regclass(%s) IS NULL OR to_regclass(%s) IS NULL",
            (self._sql.table, f"{self._sql.table}_cursor"),
        )
        if missing[0]:
            async with connection.transaction():
                await connection.execute(self._sql.tables)

    async def _stored(self, connection: Connection) -> tuple[Any, ...]:
        row = await _one(connection, self._sql.load)
        return tuple(value.decode() if isinstance(value, bytes) else value for value in row)

    async def _next(self, connection: Connection, after: Place) -> list[Row]:
        answer = await connection.execute(
            self._sql.next,
            {"txid": str(after.txid), "id": after.id, "rows": _ROWS, "bytes": _BYTES},
        )
        return await answer.fetchall()

    async def _take(self, rows: list[Row], stop: asyncio.Event) -> None:
        """Make rows durable, in the spool or in quarantine, however long that takes."""

        def wait(error: Exception) -> None:
            if self._held is None:
                _log.warning("postgres_queue.held", error=repr(error))
            self._held = f"Its rows wait: {error}"

        await asyncio.gather(
            *(
                keep_trying(
                    partial(self._intake.take, body, content_type.decode(errors="replace"), {}),
                    stop=stop,
                    failed=wait,
                    first_s=self._settings.retry_first_s,
                    cap_s=self._settings.retry_cap_s,
                )
                for _, _, content_type, body in rows
            )
        )
        self._held = None

    def _failed(self, error: Exception) -> None:
        self._lost = self._explain(error)
        _log.warning("postgres_queue.retry", server=self._place, error=repr(error))

    def _explain(self, error: Exception) -> str:
        match error:
            case InsufficientPrivilege():
                return (
                    f"{self._place} does not let us keep the table {self._sql.table!r} ({error}): "
                    "let a role that may run the statements of `burnish queue-sql`, and make the "
                    "role of ingest.postgres_queue_url the owner of the tables."
                )
            case Unavailable():
                return f"{self._place}: {error}."
            case _:
                return f"{self._place} does not serve us ({error!r}); trying again."


class _Verbatim(Loader):
    """Hands on a text as the bytes that it is."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


async def _one(
    connection: Connection, query: sql.Composed | LiteralString, values: tuple[Any, ...] = ()
) -> tuple[Any, ...]:
    """Return the only row of an answer."""
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise Unavailable("its answer lacks a row")
    return row


def _place(url: str) -> str:
    """Return where a server is, without the password. Raises InvalidInput if it is nowhere."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Its message may repeat the address, and the password in it.
        raise InvalidInput.of(
            "ingest.postgres_queue_url",
            url.partition("://")[0] + "://…",
            "give postgresql://USER:PASSWORD@HOST/DATABASE, with options that libpq knows",
        ) from None
    return f"PostgreSQL at {parts.get('host', 'localhost')}/{parts.get('dbname', '')}"
