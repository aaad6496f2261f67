"""The index of the quarantine in SQL: table `quarantine`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Tuple,
    func,
    literal,
    select,
    tuple_,
    update,
)

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.rows import columns, inserting, read
from burnish.adapters.sql.schema import Moment, quarantine
from burnish.feedback.quarantine import (
    Count,
    Entry,
    EntryState,
    QuarantineEntryNotFound,
    Selection,
)
from burnish.kernel.errors import InvalidInput

_ORDER = (quarantine.c.received_at, quarantine.c.id)


class SqlQuarantineIndex:
    """Port `feedback.ports.QuarantineIndex`: each call is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, entries: Sequence[Entry]) -> None:
        """Add rows; those that are there already stay as they are."""
        with writing(self._engine) as connection:
            note(connection, entries)


def note(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add rows inside a transaction; those that are there already stay as they are."""
    if entries:
        statement = inserting(connection, quarantine).on_conflict_do_nothing(index_elements=["id"])
        connection.execute(statement, [columns(entry) for entry in entries])


class QuarantineStore:
    """Port `feedback.ports.QuarantineStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(
        self,
        selection: Selection,
        *,
        after: str | None,
        through: str | None = None,
        limit: int,
        ascending: bool,
    ) -> list[Entry]:
        """Return entries by time of receipt, beyond `after` and none later than `through`."""
        chosen = [*_conditions(selection), *self._beyond(after, ascending), *self._until(through)]
        query = select(quarantine).where(*chosen)
        order = _ORDER if ascending else [column.desc() for column in _ORDER]
        rows = self._connection.execute(query.order_by(*order).limit(limit))
        return [read(row, Entry) for row in rows.mappings()]

    def get(self, id_: str) -> Entry:
        """Return one entry. Raises QuarantineEntryNotFound."""
        query = select(quarantine).where(quarantine.c.id == id_)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise QuarantineEntryNotFound.of("quarantine entry", id_)
        return read(row, Entry)

    def counts(self, selection: Selection) -> list[Count]:
        """Count the selected entries by code, model and state; the most numerous first."""
        kinds = (quarantine.c.code, quarantine.c.model, quarantine.c.state)
        query = (
            select(
                *kinds,
                func.count().label("entries"),
                func.min(quarantine.c.received_at).label("oldest"),
                func.max(quarantine.c.received_at).label("newest"),
            )
            .where(*_conditions(selection))
            .group_by(*kinds)
            .order_by(func.count().desc(), *kinds)
        )
        return [read(row, Count) for row in self._connection.execute(query).mappings()]

    def remaining(
        self, selection: Selection, *, after: str | None, through: str | None = None
    ) -> int:
        """Count the open entries of a selection beyond `after` and up to `through`."""
        bounds = [*self._beyond(after, ascending=True), *self._until(through)]
        chosen = [*_conditions(selection), *bounds]
        query = select(func.count()).select_from(quarantine)
        query = query.where(quarantine.c.state == EntryState.OPEN, *chosen)
        return self._connection.execute(query).scalar_one()

    def settle(self, id_: str, state: EntryState, code: str, detail: str, *, at: datetime) -> None:
        """Note a replay of an open entry; one that is open no more is left as it is."""
        values = {"state": state, "replays": quarantine.c.replays + 1, "replayed_at": at}
        if state is EntryState.OPEN:
            values |= {"code": code, "detail": detail}
        self._connection.execute(
            update(quarantine)
            .where(quarantine.c.id == id_, quarantine.c.state == EntryState.OPEN)
            .values(values)
        )

    def _beyond(self, after: str | None, ascending: bool) -> list[ColumnElement[bool]]:
        if after is None:
            return []
        place, bound = tuple_(*_ORDER), self._place(after)
        return [place > bound if ascending else place < bound]

    def _until(self, through: str | None) -> list[ColumnElement[bool]]:
        return [] if through is None else [tuple_(*_ORDER) <= self._place(through)]

    def _place(self, id_: str) -> Tuple:
        entry = self.get(id_)
        return tuple_(literal(entry.received_at, Moment()), entry.id)


def _conditions(selection: Selection) -> list[ColumnElement[bool]]:
    wanted = {
        quarantine.c.code: selection.code,
        quarantine.c.model: selection.model,
        quarantine.c.state: selection.state,
        quarantine.c.source: selection.source,
        quarantine.c.record_id: selection.record_id,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    if selection.ids is not None:
        conditions.append(quarantine.c.id.in_(selection.ids))
    if selection.day is not None:
        start = _day(selection.day)
        conditions += [
            quarantine.c.received_at >= start,
            quarantine.c.received_at < start + timedelta(days=1),
        ]
    return conditions


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput.of("day", text, "write it as 2026-05-01, in UTC") from None
