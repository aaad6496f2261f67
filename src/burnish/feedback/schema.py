"""Schemas of feedback records: data files, one per version, and the validator that reads them.

The files are JSON Schema (draft 2020-12) in this subset: a flat object with `required`,
`additionalProperties: false` and `properties`, each with `type`, `enum`, `minLength`, `maxLength`,
`minimum`, `maximum`, `pattern`, `format: date-time`, and for lists and maps of such values `items`,
`uniqueItems`, `additionalProperties`, `propertyNames` and how many there may be. As JSON Schema
says, a keyword judges only values of its own type. A property's `description` is the fix that an
error tells. A file that uses anything else does not load: nothing in it is silently ignored.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from importlib.resources import files
from typing import Any, Final

import msgspec

from burnish.feedback.model import MalformedFeedback, UnsupportedSchemaVersion
from burnish.kernel.clock import parse_time
from burnish.kernel.digest import canonical

DEFAULT_VERSION: Final = 1  # of a record that does not say

# RFC 3339, section 5.6: narrower than what `datetime.fromisoformat` takes.
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_USUAL_ENDS: Final = frozenset({(20, "Z"), (25, "+:"), (25, "-:")})  # Z, or ±hh:mm
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}
_NUMBER: Final = frozenset(_TYPES["number"])
_STRING: Final = frozenset(_TYPES["string"])
_ARRAY: Final = frozenset(_TYPES["array"])
_OBJECT: Final = frozenset(_TYPES["object"])
_ANY: Final = frozenset(one for types in _TYPES.values() for one in types)
NUL: Final = "\0"  # no text may hold it: PostgreSQL stores none
_SCHEMA_KEYS: Final = frozenset(
    ("$schema", "title", "description", "type", "additionalProperties", "required", "properties")
)
_SHOWN_CHARACTERS: Final = 80  # of a value, in an error

Check = Callable[[Any], bool]


class Shape:
    """What one value may be."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        rules = dict(raw)
        types = rules.pop("type")
        kinds = frozenset(
            one for name in ([types] if isinstance(types, str) else types) for one in _TYPES[name]
        )
        if not rules.keys() <= _KEYWORDS.keys():
            strange = sorted(rules.keys() - _KEYWORDS.keys())
            raise ValueError(f"{strange}: outside the subset that this validator reads")
        checks = [
            (*_KEYWORDS[keyword], rules[keyword]) for keyword in _KEYWORDS if keyword in rules
        ]
        self._checks: Mapping[type, tuple[Check, ...]] = {
            kind: tuple(make(wanted) for judged, make, wanted in checks if kind in judged)
            for kind in kinds
        }

    def fits(self, value: object) -> bool:
        """Tell whether a value is one."""
        kind = type(value)
        checks = self._checks.get(kind)
        if checks is None or (kind is str and NUL in str(value)):
            return False
        for check in checks:  # noqa: SIM110 - `all` of a generator costs twice as much
            if not check(value):
                return False
        return True


class Field:
    """One property of a schema, ready to judge values."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        self.name = name
        self.fix: str = raw["description"]
        shape = Shape({key: rule for key, rule in raw.items() if key != "description"})
        self.fits = shape.fits


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
            if not known.fits(value):
                raise malformed(name, value, known.fix)


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


def date_time(value: str) -> datetime | None:
    """Return the moment that an RFC 3339 text names, None if it is none or names none."""
    if not _is_usual(value):
        if _DATE_TIME.fullmatch(value) is None:
            return None
        value = value.upper()
    try:
        return parse_time(value)
    except (ValueError, OverflowError):  # no such day; or no such year in UTC
        return None


def is_date_time(value: str) -> bool:
    """Tell whether a text is an RFC 3339 time that there is."""
    if _is_usual(value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return False
        if MINYEAR < moment.year < MAXYEAR:  # then it has a year in UTC, too
            return True
    return date_time(value) is not None


def _is_usual(value: str) -> bool:
    """Tell whether it has the form that most clocks write; of that Python's parser is as strict."""
    return value[4:17:3] == "--T::" and (len(value), value[19::3]) in _USUAL_ENDS


def _enum(wanted: Any) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in wanted)


def _at_least(wanted: Any) -> Check:
    return lambda value: len(value) >= wanted


def _at_most(wanted: Any) -> Check:
    return lambda value: len(value) <= wanted


def _pattern(wanted: Any) -> Check:
    matches = re.compile(wanted).search
    return lambda value: matches(value) is not None


def _format(wanted: Any) -> Check:
    if wanted != "date-time":
        raise ValueError(f"format: {wanted!r} is outside the subset that this validator reads")
    return is_date_time


def _items(wanted: Any) -> Check:
    shape = Shape(wanted)
    return lambda value: all(shape.fits(one) for one in value)


def _values(wanted: Any) -> Check:
    shape = Shape(wanted)
    return lambda value: all(shape.fits(one) for one in value.values())


def _names(wanted: Any) -> Check:
    return _items({"type": "string", **wanted})


def _unique(wanted: Any) -> Check:
    return lambda value: not wanted or len(set(map(canonical, value))) == len(value)


# Keyword -> the types of value that it judges, and what makes a check of what it wants.
_KEYWORDS: Final[Mapping[str, tuple[frozenset[type], Callable[[Any], Check]]]] = {
    "enum": (_ANY, _enum),
    "minimum": (_NUMBER, lambda wanted: lambda value: bool(value >= wanted)),
    "maximum": (_NUMBER, lambda wanted: lambda value: bool(value <= wanted)),
    "minLength": (_STRING, _at_least),
    "maxLength": (_STRING, _at_most),
    "pattern": (_STRING, _pattern),
    "format": (_STRING, _format),
    "minItems": (_ARRAY, _at_least),
    "maxItems": (_ARRAY, _at_most),
    "uniqueItems": (_ARRAY, _unique),
    "items": (_ARRAY, _items),
    "minProperties": (_OBJECT, _at_least),
    "maxProperties": (_OBJECT, _at_most),
    "propertyNames": (_OBJECT, _names),
    "additionalProperties": (_OBJECT, _values),
}


def _load() -> Iterator[tuple[int, dict[str, Any]]]:
    for file in files("burnish.feedback").joinpath("schemas").iterdir():
        name = re.fullmatch(r"v(\d+)\.json", file.name)
        if name is not None:
            yield int(name[1]), msgspec.json.decode(file.read_bytes())


FILES: Final[Mapping[int, dict[str, Any]]] = dict(sorted(_load()))  # as they are, to be published
SCHEMAS: Final[Mapping[int, Schema]] = {version: Schema(raw) for version, raw in FILES.items()}
