"""How far SQL sources are read: table `sql_sources`, moved only together with what was read."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.quarantine import note
from burnish.adapters.sql.raw_log import add, end_of
from burnish.adapters.sql.schema_inputs import sql_sources
from burnish.feedback.model import RawObject
from burnish.feedback.quarantine import Entry
from burnish.feedback.tabular import Cursor
from burnish.kernel.digest import canonical
from burnish.kernel.errors import Conflict, Stale


class SqlSources:
    """The watermarks of SQL sources, each by the shard that its rows become."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standing(self, shard: str) -> tuple[Cursor | None, int]:
        """Return the place of the last row that was read, and the offset of the next line."""
        query = select(sql_sources.c.place).where(sql_sources.c.shard == shard)
        with self._engine.connect() as connection:
            place = connection.execute(query).scalar()
            cursor = None if place is None else msgspec.json.decode(place, type=Cursor)
            return cursor, end_of(connection, shard)

    def advance(
        self,
        shard: str,
        *,
        expected: Cursor | None,
        to: Cursor,
        entry: RawObject | None,
        refused: Sequence[Entry],
        now: datetime,
    ) -> None:
        """List a page and move the watermark behind it, in one transaction.

        Args:
            shard: of the source.
            expected: where the watermark stands, None before the first page.
            to: the place of the page's last row.
            entry: the object that holds its records; None if none of its rows is one.
            refused: the rows that are none, as the quarantine lists them.
            now: the moment of reading.

        Raises Stale if somebody else has read on meanwhile; then nothing is changed.
        """
        stale = Stale(f"{shard!r} was read further by another process.", shard=shard)
        values = {"place": _text(to), "read_at": now}
        with writing(self._engine) as connection:
            try:
                if expected is None:
                    connection.execute(insert(sql_sources).values(shard=shard, **values))
                else:
                    moved = connection.execute(
                        update(sql_sources)
                        .where(sql_sources.c.shard == shard)
                        .where(sql_sources.c.place == _text(expected))
                        .values(values)
                    )
                    if moved.rowcount != 1:
                        raise stale
                if entry is not None:
                    add(connection, entry, now)
            except (IntegrityError, Conflict) as error:
                raise stale from error
            note(connection, refused)


def _text(place: Cursor) -> str:
    return canonical(place).decode()
