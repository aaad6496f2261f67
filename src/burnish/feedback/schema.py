"""Schemas of feedback records: data files, one per version, and the validator that reads them.

The files are JSON Schema (draft 2020-12) in this subset: a flat object with `required`,
`additionalProperties: false` and `properties`, each with `type`, `enum`, `minLength`, `maxLength`,
`minimum`, `pattern`, `format: date-time`. A property's `description` is the fix that an error
tells. A file that uses anything else does not load: nothing in it is silently ignored.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import msgspec

from burnish.feedback.model import MalformedFeedback, UnsupportedSchemaVersion
from burnish.kernel.clock import parse_time

DEFAULT_VERSION: Final = 1  # of a record that does not say

# RFC 3339, section 5.6: narrower than what `datetime.fromisoformat` takes.
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_TYPES: Final[Mapping[str, type]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}
NUL: Final = "\0"  # no text may hold it: PostgreSQL stores none
_SCHEMA_KEYS: Final = frozenset(
    ("$schema", "title", "description", "type", "additionalProperties", "required", "properties")
)
_SHOWN_CHARACTERS: Final = 80  # of a value, in an error

Check = Callable[[Any], bool]


class Field:
    """One property of a schema, ready to judge values."""

    def __init__(self, name: str, raw: dict[str, Any]) -> None:
        rules = dict(raw)
        self.name = name
        self.fix: str = rules.pop("description")
        types = rules.pop("type")
        self._types = frozenset(
            _TYPES[one] for one in ([types] if isinstance(types, str) else types)
        )
        self._checks = tuple(_check(keyword, wanted) for keyword, wanted in rules.items())

    def check(self, value: object) -> None:
        """Raise MalformedFeedback unless the value fits."""
        fits = type(value) in self._types and (
            value is None or all(check(value) for check in self._checks)
        )
        if not fits or (isinstance(value, str) and NUL in value):
            raise malformed(self.name, value, self.fix)


class Schema:
    """One version of the record's shape."""

    def __init__(self, raw: dict[str, Any]) -> None:
        unknown = set(raw) - _SCHEMA_KEYS
        if unknown or raw["type"] != "object" or raw["additionalProperties"] is not False:
            raise ValueError(f"{raw.get('title')}: a schema outside the subset: {sorted(unknown)}")
        self._fields = {name: Field(name, one) for name, one in raw["properties"].items()}
        self._required = tuple(self._fields[name] for name in raw["required"])

    def check(self, data: Mapping[str, Any]) -> None:
        """Raise MalformedFeedback, naming the first field that is missing, unknown or wrong."""
        for field in self._required:
            if field.name not in data:
                raise MalformedFeedback(
                    f"{field.name} is missing: {field.fix}", field=field.name, fix=field.fix
                )
        for name, value in data.items():
            known = self._fields.get(name)
            if known is None:
                raise malformed(name, value, f"leave it out; known: {', '.join(self._fields)}")
            known.check(value)


def malformed(field: str, value: object, fix: str) -> MalformedFeedback:
    """Return the error for one field, with as much of the value as a reader wants to see."""
    return MalformedFeedback.of(shown(field), shown(value), fix)


def shown(value: object) -> Any:
    """Return a value that is short and safe to print in its place.

    >>> shown(["deep", ["nest"]]), shown("good")
    ('an array', 'good')
    """
    match value:
        case str() if len(value) > _SHOWN_CHARACTERS:
            return value[:_SHOWN_CHARACTERS] + "…"
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return value


def schema(version: object) -> Schema:
    """Return the schema of a version. Raises UnsupportedSchemaVersion, or MalformedFeedback."""
    if type(version) is not int:
        raise malformed("schema_version", version, "give the number of a schema")
    if version not in SCHEMAS:
        raise UnsupportedSchemaVersion.of(
            "schema_version", version, f"send one of {sorted(SCHEMAS)}, or upgrade this server"
        )
    return SCHEMAS[version]


def _check(keyword: str, wanted: Any) -> Check:
    match keyword:
        case "enum":
            return lambda value: any(type(value) is type(one) and value == one for one in wanted)
        case "minLength":
            return lambda value: len(value) >= wanted
        case "maxLength":
            return lambda value: len(value) <= wanted
        case "minimum":
            return lambda value: bool(value >= wanted)
        case "pattern":
            matches = re.compile(wanted).search
            return lambda value: matches(value) is not None
        case "format" if wanted == "date-time":
            return _is_date_time
        case _:
            raise ValueError(
                f"{keyword}: {wanted!r} is outside the subset that this validator reads"
            )


def _is_date_time(value: str) -> bool:
    if _DATE_TIME.fullmatch(value) is None:
        return False
    try:
        parse_time(value.upper())
    except (ValueError, OverflowError):  # no such day; or no such year in UTC
        return False
    return True


def _load() -> Iterator[tuple[int, Schema]]:
    for file in files("burnish.feedback").joinpath("schemas").iterdir():
        name = re.fullmatch(r"v(\d+)\.json", file.name)
        if name is not None:
            yield int(name[1]), Schema(msgspec.json.decode(file.read_bytes()))


SCHEMAS: Final[Mapping[int, Schema]] = dict(_load())
