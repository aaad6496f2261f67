"""Between rows and domain values, in both directions."""

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Table
from sqlalchemy.dialects import postgresql, sqlite

Value = TypeVar("Value")


def read(row: RowMapping, type_: type[Value]) -> Value:
    """Return the domain value that a row holds."""
    # SQLAlchemy's names are a subclass of `str`, which msgspec takes for no key.
    return msgspec.convert({str(name): value for name, value in row.items()}, type_)


def columns(value: msgspec.Struct) -> dict[str, Any]:
    """Return a domain value as columns: plain data, but moments stay moments."""
    plain: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return plain


def bytewise(connection: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text to be ordered by its bytes, as Python does, whatever the database's locale."""
    return column if connection.dialect.name == "sqlite" else column.collate("C")


def inserting(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can be told what to do about a row that is there already."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return insert(table)


def insert_new(
    connection: Connection,
    table: Table,
    values: dict[str, Any],
    *,
    unless_same: str | tuple[str, ...] = (),
) -> bool:
    """Insert a row unless one with the same value in these unique columns, or in any, is there.

    Returns whether it did. Where another transaction is inserting that value, it waits for it.
    """
    unique = (unless_same,) if isinstance(unless_same, str) else unless_same
    statement = inserting(connection, table).on_conflict_do_nothing(index_elements=unique or None)
    added = connection.execute(statement.returning(*table.primary_key), values)
    return added.first() is not None
