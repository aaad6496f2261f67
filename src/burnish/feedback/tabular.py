"""Rows of somebody's table as feedback records: pure, from named columns to a record's text.

A column counts if it is named as a field of a record; the others are passed over. The row's place,
(watermark, key), is its identity: a row that was changed later is another record on the same
subject, and the last word counts.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from burnish.feedback.admission import admit
from burnish.feedback.model import ModelFacts, RawRecord, Rejection
from burnish.feedback.parse import PLAIN, parse
from burnish.feedback.ranking import agrees
from burnish.kernel.digest import canonical
from burnish.kernel.errors import InvalidInput

REQUIRED: Final = ("subject_id", "final", "actor", "occurred_at")
INPUTS: Final = ("payload", "prediction_id")  # at least one of them
_OPTIONAL: Final = ("predicted", "corrected", "selection", "reason", "reason_code")
_FIELDS: Final = (*REQUIRED, *INPUTS, *_OPTIONAL)
_SHOWN_BYTES: Final = 80  # of a value that no record can hold

Cursor = tuple[int | float | str, int | float | str]  # (watermark, key) as the database orders them


class SourceRow(Struct, frozen=True, kw_only=True):
    """One row of a source, and where it stands in it."""

    place: Cursor
    values: Mapping[str, Any]  # column -> value, as the driver hands it over


class Judged(Struct, frozen=True, kw_only=True):
    """The rows of a page: those that are records, and those that cannot be, with the reason."""

    records: list[RawRecord]
    rejections: list[Rejection]


def missing_columns(columns: Collection[str]) -> list[str]:
    """Return what a query must also select for its rows to be records.

    >>> missing_columns(["subject_id", "final", "actor", "payload"])
    ['occurred_at']
    >>> missing_columns(["subject_id", "final", "actor", "occurred_at"])
    ['payload or prediction_id']
    """
    missing = [name for name in REQUIRED if name not in columns]
    return missing + ([] if any(name in columns for name in INPUTS) else [" or ".join(INPUTS)])


def judge(
    rows: Collection[SourceRow],
    *,
    source: str,
    model: str,
    facts: ModelFacts,
    offset: int,
    received_at: datetime,
) -> Judged:
    """Turn rows into lines of the raw log, and those that no front would take into rejections.

    Args:
        rows: of one page.
        source: what their records name as their source.
        model: that they judge.
        facts: what the model takes.
        offset: of the first line, in the source's shard.
        received_at: when they were read.
    """  # fmt: skip
    records: list[RawRecord] = []
    rejections: list[Rejection] = []
    for row in rows:
        id_ = identity(row.place)
        body = canonical({"source": source, "id": id_, "model": model} | _fields(row.values))
        try:
            admit(parse(body, PLAIN, {}), {model: facts})
        except InvalidInput as error:
            rejections.append(
                Rejection(
                    received_at=received_at,
                    code=error.code,
                    detail=error.detail,
                    content_type=PLAIN,
                    body=body.decode(),
                )
            )
            continue
        records.append(
            RawRecord(
                offset=offset + len(records),
                received_at=received_at,
                source=source,
                id=id_,
                content_type=PLAIN,
                body=body.decode(),
            )
        )
    return Judged(records=records, rejections=rejections)


def identity(place: Cursor) -> str:
    """Return a row's id: its key, at its watermark.

    >>> identity(("2026-05-01 12:00:00+00", 42))
    '42@2026-05-01 12:00:00+00'
    """
    watermark, key = place
    return f"{key}@{watermark}"


def place_of(id_: str) -> tuple[str, str]:
    """Return the watermark and the key of a row by its id, as texts.

    >>> place_of("42@2026-05-01 12:00:00+00")
    ('2026-05-01 12:00:00+00', '42')
    """
    key, _, watermark = id_.rpartition("@")
    return watermark, key


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: _plain(name, values.get(name)) for name in _FIELDS}
    given = {name: value for name, value in fields.items() if value is not None}
    if "corrected" not in given and "final" in given:
        given["corrected"] = _differs(given.get("predicted"), given["final"])
    return given


def _differs(predicted: Any, final: Any) -> bool:
    if isinstance(predicted, list) and isinstance(final, dict):
        return not agrees(predicted, final)
    return bool(predicted != final)


def _plain(field: str, value: Any) -> Any:
    """Return a value as JSON has it. What is left as it is, the record's schema judges."""
    match value:
        case int() if field == "corrected":
            return bool(value)  # SQLite has no other
        case str() if field == "occurred_at":
            return _moment(value)
        case date():
            return _utc(value if isinstance(value, datetime) else datetime.combine(value, time()))
        case bytes() | memoryview():
            return repr(bytes(value[:_SHOWN_BYTES]))
        case int() | float() | UUID() | Decimal():
            return str(value)
    return value


def _moment(text: str) -> str:
    """Return an ISO moment as RFC 3339: databases write it with a space, and often without zone."""
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError:
        return text


def _utc(moment: datetime) -> str:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")
