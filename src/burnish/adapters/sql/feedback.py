"""The feedback projection in SQL: tables `feedback` and `shards`."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
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

from burnish.adapters.sql.erasures import chunks
from burnish.adapters.sql.rows import bytewise, columns, inserting, read
from burnish.adapters.sql.schema import feedback, predictions, shards, tombstones
from burnish.adapters.sql.schema_inputs import payload_sources
from burnish.datasets.curation import OWN_STORE
from burnish.feedback.erasure import Identity, Scope
from burnish.feedback.verdict import Offsets, Verdict, by_precedence
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
        """Keep verdicts, one per identity: of copies the one of lowest precedence, at any time.

        A late copy of an erased record is not kept.
        """
        first: dict[tuple[str, str], Verdict] = {}
        for verdict in sorted(verdicts, key=by_precedence):
            first.setdefault(verdict.identity, verdict)
        for identity in self._erased(first):
            del first[identity]
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

    def of_shard(self, shard: str, first: int, *, model: str, limit: int) -> list[Verdict]:
        """Return a model's verdicts of one shard at or beyond an offset, ascending."""
        query = select(feedback).where(feedback.c.shard == shard, feedback.c.offset >= first)
        return self._verdicts(query.order_by(feedback.c.offset).limit(limit), model)

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

    def in_scope(self, scope: Scope) -> list[Verdict]:
        """Return the verdicts that a request to erase means."""
        wanted = {
            feedback.c.subject_id: scope.subject,
            feedback.c.source: scope.source,
            feedback.c.id: scope.id,
        }
        query = select(feedback).where(
            *(column == value for column, value in wanted.items() if value is not None)
        )
        return self._verdicts(query.order_by(feedback.c.source, feedback.c.id), scope.model)

    def forget(self, identities: Collection[Identity]) -> None:
        """Take verdicts out of the projection."""
        for source, id_ in sorted(identities):
            self._connection.execute(
                delete(feedback).where(feedback.c.source == source, feedback.c.id == id_)
            )

    def judging(self, payloads: Collection[str]) -> set[str]:
        """Return those of these payloads, by digest, that a verdict still judges."""
        found: set[str] = set()
        for chunk in chunks(payloads):
            named = select(feedback.c.payload).where(
                feedback.c.payload.in_([OWN_STORE + digest for digest in chunk])
            )
            found.update(
                uri.removeprefix(OWN_STORE) for uri in self._connection.execute(named).scalars()
            )
            captured = (
                select(predictions.c.payload_sha256)
                .join(feedback, feedback.c.prediction_id == predictions.c.id)
                .where(predictions.c.payload_sha256.in_(chunk), feedback.c.payload.is_(None))
            )
            found.update(self._connection.execute(captured).scalars())
            fetched = (
                select(payload_sources.c.sha256)
                .join(feedback, feedback.c.payload == payload_sources.c.uri)
                .where(payload_sources.c.sha256.in_(chunk))
            )
            found.update(self._connection.execute(fetched).scalars())
        return found

    def disputed(self, model: str, *, limit: int) -> list[Verdict]:
        """Return all verdicts on subjects or payloads that were not always given one label.

        Of the subjects with the lowest names, `limit` of those disputed by subject and as many of
        those disputed by payload.
        """
        said = select(feedback).where(feedback.c.model == model)
        many = func.count(feedback.c.final.distinct()) > 1
        subjects = (
            select(feedback.c.subject_id)
            .where(feedback.c.model == model)
            .group_by(feedback.c.subject_id)
            .having(many)
            .order_by(feedback.c.subject_id)
            .limit(limit)
        )
        shown = func.coalesce(feedback.c.payload, OWN_STORE + predictions.c.payload_sha256)
        seen = feedback.outerjoin(predictions, feedback.c.prediction_id == predictions.c.id)
        payloads = (
            select(shown)
            .select_from(seen)
            .where(feedback.c.model == model, shown.is_not(None))
            .group_by(shown)
            .having(many)
            .order_by(func.min(feedback.c.subject_id))
            .limit(limit)
        )
        showing = (
            select(feedback.c.subject_id)
            .select_from(seen)
            .where(feedback.c.model == model, shown.in_(payloads))
        )
        query = said.where(
            or_(feedback.c.subject_id.in_(subjects), feedback.c.subject_id.in_(showing))
        )
        return self._verdicts(query, None)

    def _erased(self, identities: Collection[Identity]) -> set[Identity]:
        if self._connection.execute(select(tombstones.c.id).limit(1)).first() is None:
            return set()
        found: set[Identity] = set()
        for chunk in chunks({id_ for _, id_ in identities}):
            query = select(tombstones.c.source, tombstones.c.id).where(tombstones.c.id.in_(chunk))
            found.update((row.source, row.id) for row in self._connection.execute(query))
        return found & set(identities)

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
