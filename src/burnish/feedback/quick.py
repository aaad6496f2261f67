"""A quick look at a record: the schema's rules as one compiled type.

Nearly all records keep all rules, and a compiled type finds that out in a fraction of the time. It
says yes or nothing: what it does not accept is judged by `schema`, value by value, which can say
why. It knows no lists and maps, and does not look for NUL.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, defstruct

_META: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "integer": {"minimum": "ge", "maximum": "le"},
    "number": {"minimum": "ge", "maximum": "le"},
}
_TYPES: Final[Mapping[str, type | None]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
}


class Quick:
    """The rules of a schema in the subset that `schema` reads.

    Args:
        properties: by name, as the file has them.
        required: names.
        is_date_time: tells whether a text is one.
    """

    def __init__(
        self,
        properties: Mapping[str, Mapping[str, Any]],
        required: Iterable[str],
        *,
        is_date_time: Callable[[str], bool],
    ) -> None:
        needed = frozenset(required)
        places = {name: f"field_{number}" for number, name in enumerate(properties)}
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for name in sorted(properties, key=lambda name: name not in needed):
            type_ = _type(properties[name])
            if name in needed:
                fields.append((places[name], type_))
            else:
                fields.append((places[name], type_ | UnsetType, UNSET))
        self._type = defstruct(
            "Record",
            fields,
            rename={place: name for name, place in places.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._dates = tuple(name for name, raw in properties.items() if "format" in raw)
        self._is_date_time = is_date_time

    def fits(self, data: Mapping[str, Any]) -> bool:
        """Tell whether a record is seen to keep all rules."""
        try:
            msgspec.convert(data, self._type)
        except msgspec.ValidationError:
            return False
        for name in self._dates:
            value = data.get(name)
            if value is not None and not self._is_date_time(value):
                return False
        return True


def _type(raw: Mapping[str, Any]) -> Any:
    """Return the type of a property, of its scalar values."""
    names = [raw["type"]] if isinstance(raw["type"], str) else raw["type"]
    if "enum" in raw:
        return Literal[tuple(raw["enum"])]
    return reduce(or_, (_scalar(name, raw) for name in names if name in _TYPES))


def _scalar(name: str, raw: Mapping[str, Any]) -> Any:
    rules = {ours: raw[keyword] for keyword, ours in _META.get(name, {}).items() if keyword in raw}
    return Annotated[_TYPES[name], Meta(**rules)] if rules else _TYPES[name]
