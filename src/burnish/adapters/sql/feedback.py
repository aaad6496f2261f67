"""The feedback projection in SQL: tables `feedback` and `shards`."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    insert,
    or_,
    select,
    tuple_,
    union,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from burnish.adapters.sql.rows import bytewise, columns, inserting, read
from burnish.adapters.sql.schema import feedback, shards
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.errors import Stale


class FeedbackStore:
    """Port `feedback.ports.FeedbackStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def offsets(self) -> Offsets:
        """Return, per shard, the first offset that is not projected yet."""
        rows = self._connection.execute(select(shards.c.shard, shards.c.projected_offset))
        return {row.shard: row.projected_offset for row in rows}

    def advance(self, shard: str, *, expected: int, to: int) -> None:
        """Move a shard's offset. Raises Stale if it does not stand at `expected`."""
        moved = self._connection.execute(
            update(shards)
            .where(shards.c.shard == shard, shards.c.projected_offset == expected)
            .values(projected_offset=to)
        )
        if moved.rowcount == 1:
            return
        stale = Stale(f"Shard {shard!r} is not projected up to offset {expected}.", shard=shard)
        if expected != 0:
            raise stale
        try:
            self._connection.execute(insert(shards).values(shard=shard, projected_offset=to))
        except IntegrityError as error:
            raise stale from error

    def add(self, verdicts: Sequence[Verdict]) -> set[str]:
        """Keep verdicts, one per identity: of copies the one of lowest precedence, at any time."""
        first: dict[tuple[str, str], Verdict] = {}
        for verdict in sorted(verdicts, key=lambda verdict: verdict.precedence):
            first.setdefault(verdict.identity, verdict)
        if not first:
            return set()
        added = inserting(self._connection, feedback)
        statement = added.on_conflict_do_update(
            index_elements=["source", "id"],
            set_={column.name: added.excluded[column.name] for column in feedback.columns},
            where=self._precedence(added.excluded) < self._precedence(feedback.c),
        ).returning(feedback.c.model)
        # In one order everywhere, so that two shards' projections never wait for each other.
        rows = [columns(first[identity]) for identity in sorted(first)]
        return set(self._connection.execute(statement, rows).scalars())

    def find(self, source: str, id_: str) -> Verdict | None:
        """Return what the record of this identity says, if there is one."""
        query = select(feedback).where(feedback.c.source == source, feedback.c.id == id_)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, Verdict)

    def newest(self, *, model: str | None, limit: int) -> list[Verdict]:
        """Return the verdicts received last, oldest first."""
        order = (feedback.c.received_at, feedback.c.shard, feedback.c.offset)
        query = select(feedback).order_by(*(column.desc() for column in order)).limit(limit)
        return self._verdicts(query, model)[::-1]

    def after(self, offsets: Offsets, *, model: str | None, limit: int) -> list[Verdict]:
        """Return verdicts at or beyond the offsets, per shard ascending; unnamed shards whole."""
        query = select(feedback).where(_beyond(offsets))
        query = query.order_by(feedback.c.shard, feedback.c.offset).limit(limit)
        return self._verdicts(query, model)

    def has_news(self, model: str, since: Offsets, upto: Offsets) -> bool:
        """Tell whether any verdict on the model lies at `since <= offset < upto`."""
        return any(
            self._connection.execute(lines.where(feedback.c.model == model).limit(1)).first()
            for lines in _ranges(feedback.c.id, since, upto)
        )

    def on_touched_subjects(self, model: str, since: Offsets, upto: Offsets) -> list[Verdict]:
        """Return the verdicts below `upto` on those subjects with at least one beyond `since`."""
        ranges = [
            lines.where(feedback.c.model == model).distinct()
            for lines in _ranges(feedback.c.subject_id, since, upto)
        ]
        if not ranges:
            return []
        touched = union(*ranges).subquery("touched")
        query = (
            select(feedback)
            .join(touched, feedback.c.subject_id == touched.c.subject_id)
            .where(feedback.c.model == model)
        )
        found = self._verdicts(query, None)
        return [verdict for verdict in found if not verdict.beyond(upto)]

    def _verdicts(self, query: Select[Any], model: str | None) -> list[Verdict]:
        if model is not None:
            query = query.where(feedback.c.model == model)
        return [read(row, Verdict) for row in self._connection.execute(query).mappings()]

    def _precedence(self, row: ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]) -> Any:
        """Return `Verdict.precedence` in SQL."""
        return tuple_(row.received_at, bytewise(self._connection, row.shard), row.offset)


def _ranges(column: ColumnElement[str], since: Offsets, upto: Offsets) -> Iterator[Select[str]]:
    """Yield, for each shard, a query of its lines `since <= offset < upto`: one walk of an index.

    In one query for all shards, a database would rather walk through all that there ever was.
    """
    for shard, end in sorted(upto.items()):
        first = since.get(shard, 0)
        if first < end:
            yield select(column).where(
                feedback.c.shard == shard, feedback.c.offset >= first, feedback.c.offset < end
            )


def _beyond(since: Offsets) -> ColumnElement[bool]:
    passed = (
        and_(feedback.c.shard == shard, feedback.c.offset >= offset)
        for shard, offset in since.items()
    )
    return or_(feedback.c.shard.not_in(since), *passed)
