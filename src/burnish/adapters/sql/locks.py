"""What a transaction holds until it ends, so that what it has read stays true.

On SQLite a transaction that writes has the whole database to itself from its beginning; there is
nothing to take. On PostgreSQL it runs at READ COMMITTED and takes, where it reads:

    model   the row of a model: its policy, pointer, releases, versions, datasets and runs
    job     the row of a training job
    trail   the ends of the audit chain and of the outbox, until the commit

Everyone takes them in this order, so that no two transactions wait for each other. Locks notice
whoever does not, on both databases.
"""

from enum import IntEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, select, text

from burnish.adapters.sql.schema import models

_TRAIL: Final = 0x6275726E  # "burn": the key of an advisory lock


class LockOrderBroken(RuntimeError):
    """A transaction that holds a later lock asks for an earlier one: a mistake in our code."""


class _Rank(IntEnum):
    MODEL = 1
    JOB = 2
    TRAIL = 3


class Locks:
    """The locks of one transaction; one that only reads takes none."""

    def __init__(self, connection: Connection, *, reads_only: bool) -> None:
        self._connection = connection
        self._reads_only = reads_only
        self._needed = connection.dialect.name != "sqlite"
        self._taken: set[tuple[_Rank, str]] = set()

    def model(self, name: str) -> bool:
        """Hold a model, if there is one of this name.

        Returns whether it may have waited: what was read of the model before may be of the past.
        """
        taken = self._take(_Rank.MODEL, name)
        if taken:
            self._connection.execute(
                select(models.c.name).where(models.c.name == name).with_for_update()
            )
        return taken

    def job(self, id_: str, query: Select[Any]) -> Select[Any]:
        """Return the query of a job's row so that executing it holds the row."""
        return query.with_for_update() if self._take(_Rank.JOB, id_) else query

    def trail(self) -> None:
        """Hold the ends of the audit chain and of the outbox.

        PostgreSQL numbers rows before they can be seen. As the lock goes only when its commit is
        visible, nobody ever sees a row of the trail whose forerunner is still to come.
        """
        if self._take(_Rank.TRAIL, ""):
            self._connection.execute(text(f"SELECT pg_advisory_xact_lock({_TRAIL})"))

    def _take(self, rank: _Rank, key: str) -> bool:
        """Note a lock; return whether there is still something to do for it."""
        if self._reads_only or (rank, key) in self._taken:
            return False
        later = [held for held in self._taken if held[0] > rank]
        if later:
            raise LockOrderBroken(f"asked for {rank.name} {key!r} while holding {later}")
        self._taken.add((rank, key))
        return self._needed
