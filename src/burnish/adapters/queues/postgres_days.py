"""The daily partitions of a PostgreSQL queue: made ahead, dropped once their rows are persisted."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, LiteralString

import structlog
from psycopg import AsyncConnection, sql
from psycopg.errors import CheckViolation, LockNotAvailable

from burnish.adapters.queues.postgres_cursor import Place
from burnish.adapters.queues.postgres_sql import QueueSql

_log = structlog.get_logger("burnish.postgres_queue")

_AHEAD: Final = 3  # days, today among them
# Making and dropping a partition needs the table for itself. While we wait for that, inserts wait
# behind us; if it takes longer than this, another time will do.
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '200ms'"


class Days:
    """Keeps the partitions of one table, over a connection in autocommit mode."""

    def __init__(self, connection: AsyncConnection[tuple[Any, ...]], queue: QueueSql) -> None:
        self._connection, self._sql = connection, queue

    async def tidy(self, persisted: Place) -> None:
        """Make the partitions of the next days; drop the past ones with no row beyond a place."""
        place = (str(persisted.txid), persisted.id)
        await self._connection.execute(self._sql.clear_rest, place)
        today: date = (await self._rows("SELECT (now() AT TIME ZONE 'UTC')::date"))[0][0]
        found = await self._rows(self._sql.partitions, (self._sql.table, self._sql.rest))
        there = {str(name) for (name,) in found}
        for day in (today + timedelta(days=n) for n in range(_AHEAD)):
            if self._sql.partition(day) not in there:
                await self._make(day)
        for name in sorted(there):
            if self._sql.day(name) < today and not await self._needed(name, place):
                await self._drop(name, place)

    async def _make(self, day: date) -> None:
        try:
            async with self._connection.transaction():
                await self._connection.execute(_LOCK_TIMEOUT)
                await self._connection.execute(self._sql.create(day))
        except LockNotAvailable:
            _log.info("postgres_queue.busy", day=day)
        except CheckViolation:  # the rest holds rows of the day; they go once they are persisted
            _log.info("postgres_queue.day_in_rest", day=day)

    async def _drop(self, name: str, place: tuple[str, int]) -> None:
        """Drop a partition, unless a row slipped in before we had the table for ourselves."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(_LOCK_TIMEOUT)
                await self._connection.execute(self._sql.lock)
                if await self._needed(name, place):
                    return
                await self._connection.execute(self._sql.drop(name))
        except LockNotAvailable:
            _log.info("postgres_queue.busy", partition=name)
        else:
            _log.info("postgres_queue.dropped", partition=name)

    async def _needed(self, name: str, place: tuple[str, int]) -> bool:
        return bool((await self._rows(self._sql.beyond(name), place))[0][0])

    async def _rows(
        self, query: sql.Composed | LiteralString, values: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        return await (await self._connection.execute(query, values)).fetchall()
