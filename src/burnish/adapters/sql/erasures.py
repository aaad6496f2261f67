"""Erasures in SQL: tables `erasures` and `tombstones`."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from burnish.adapters.sql.rows import columns, inserting, read
from burnish.adapters.sql.schema import erasures, tombstones
from burnish.feedback.erasure import Erasure, Identity, Tombstone

CHUNK: Final = 500  # values in one query; SQLite of old took no more than 999 parameters


class SqlTombstones:
    """Implements `feedback.erasure.TombstoneStore` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, erasure: Erasure, tombstones_: Sequence[Tombstone]) -> None:
        """Keep a request and what it erases; a record that is erased already stays as it is."""
        self._connection.execute(insert(erasures).values(columns(erasure)))
        statement = inserting(self._connection, tombstones).on_conflict_do_nothing(
            index_elements=["source", "id"]
        )
        self._connection.execute(statement, [columns(one) for one in tombstones_])

    def identities(self, model: str) -> set[Identity]:
        """Return the erased records of a model."""
        query = select(tombstones.c.source, tombstones.c.id).where(tombstones.c.model == model)
        return {(row.source, row.id) for row in self._connection.execute(query)}

    def payloads(self, digests: Collection[str]) -> set[str]:
        """Return those of these payloads that an erased record judged."""
        found: set[str] = set()
        for chunk in chunks(digests):
            query = select(tombstones.c.payload_sha256).where(
                tombstones.c.payload_sha256.in_(chunk)
            )
            found.update(self._connection.execute(query).scalars())
        return found

    def find(self, source: str, id_: str) -> Tombstone | None:
        """Return what stands in place of a record, if it was erased."""
        query = select(tombstones).where(tombstones.c.source == source, tombstones.c.id == id_)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, Tombstone)

    def since(self, model: str, moment: datetime) -> bool:
        """Tell whether any record of a model was erased at or after a moment."""
        query = select(tombstones.c.id).where(
            tombstones.c.model == model, tombstones.c.at >= moment
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def of(self, erasure: str) -> list[Tombstone]:
        """Return what a request erases."""
        query = select(tombstones).where(tombstones.c.erasure == erasure)
        return [read(row, Tombstone) for row in self._connection.execute(query).mappings()]

    def newest(self, *, limit: int) -> list[Erasure]:
        """Return the newest requests, newest first."""
        query = select(erasures).order_by(erasures.c.at.desc(), erasures.c.id.desc())
        return self._erasures(query.limit(limit))

    def unfinished(self) -> list[Erasure]:
        """Return the requests whose bytes are not all gone yet, oldest first."""
        query = select(erasures).where(erasures.c.finished_at.is_(None))
        return self._erasures(query.order_by(erasures.c.at, erasures.c.id))

    def finish(self, erasure: Erasure) -> None:
        """Note what became of the bytes."""
        values = columns(erasure)
        self._connection.execute(update(erasures).where(erasures.c.id == erasure.id).values(values))

    def _erasures(self, query: Select[Any]) -> list[Erasure]:
        return [read(row, Erasure) for row in self._connection.execute(query).mappings()]


def chunks(values: Collection[str]) -> Iterator[Sequence[str]]:
    """Yield values in parts that fit in one query."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
