"""The feedback projection in SQL: tables `feedback` and `shards`."""

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from burnish.adapters.sql.rows import columns, read
from burnish.adapters.sql.schema import feedback, shards
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.errors import Stale

_CHUNK = 500  # identities per query: two parameters each, far below any database's limit


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
        news: set[str] = set()
        ordered = iter(sorted(verdicts, key=lambda verdict: verdict.precedence))
        while chunk := list(islice(ordered, _CHUNK)):
            news |= self._add(chunk)
        return news

    def on_touched_subjects(self, model: str, since: Offsets) -> list[Verdict]:
        """Return all verdicts on those subjects that have at least one beyond `since`."""
        touched = select(feedback.c.subject_id).where(feedback.c.model == model, _beyond(since))
        rows = self._connection.execute(
            select(feedback).where(feedback.c.model == model, feedback.c.subject_id.in_(touched))
        )
        return [read(row, Verdict) for row in rows.mappings()]

    def _add(self, chunk: list[Verdict]) -> set[str]:
        identities = {verdict.identity for verdict in chunk}
        identity = tuple_(feedback.c.source, feedback.c.id)
        rows = self._connection.execute(select(feedback).where(identity.in_(identities)))
        present = (read(row, Verdict) for row in rows.mappings())
        known = {verdict.identity: verdict for verdict in present}
        fresh: dict[tuple[str, str], Verdict] = {}
        for verdict in chunk:
            rival = fresh.get(verdict.identity) or known.get(verdict.identity)
            if rival is None or verdict.precedence < rival.precedence:
                fresh[verdict.identity] = verdict
        displaced = fresh.keys() & known.keys()
        if displaced:
            self._connection.execute(delete(feedback).where(identity.in_(displaced)))
        if fresh:
            self._connection.execute(
                insert(feedback), [columns(verdict) for verdict in fresh.values()]
            )
        return {verdict.model for verdict in fresh.values()}


def _beyond(since: Offsets) -> ColumnElement[bool]:
    passed = (
        and_(feedback.c.shard == shard, feedback.c.offset >= offset)
        for shard, offset in since.items()
    )
    return or_(feedback.c.shard.not_in(since), *passed)
