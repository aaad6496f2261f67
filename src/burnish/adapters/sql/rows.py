"""Between rows and domain values, in both directions."""

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

Value = TypeVar("Value")


def read(row: RowMapping, type_: type[Value]) -> Value:
    """Return the domain value that a row holds."""
    # SQLAlchemy's names are a subclass of `str`, which msgspec takes for no key.
    return msgspec.convert({str(name): value for name, value in row.items()}, type_)


def columns(value: msgspec.Struct) -> dict[str, Any]:
    """Return a domain value as columns: plain data, but moments stay moments."""
    plain: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return plain
