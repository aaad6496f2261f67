"""The quick way to read what nearly all records are: plain JSON, a label, nothing odd.

A front judges thousands a second, a dataset build reads millions. What this reads it reads as
`parse` does (a test compares them); whatever it is not sure of it leaves to `parse`, and says None.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.parse import PLAIN, TRACE
from burnish.feedback.schema import FILES, date_time, is_date_time

_V1: Final = FILES[1]["properties"]
_NUL: Final = "\\u0000"
_NUL_BYTES: Final = _NUL.encode()
_TRACED: Final = frozenset([TRACE])

_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Model = Annotated[str, Meta(min_length=1, max_length=63)]
_Text = Annotated[str, Meta(max_length=4000)]
_Payload = Annotated[str, Meta(min_length=1, max_length=4000)]
_Prediction = Annotated[str, Meta(pattern=_V1["prediction_id"]["pattern"])]


class Plain(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What such a record says: schema version 1, with its identity beside it."""

    source: _Name
    id: _Name
    model: _Model
    subject_id: _Name
    final: _Name
    corrected: bool
    actor: _Name
    occurred_at: Annotated[str, Meta(max_length=64)]
    predicted: _Name | None = None
    prediction_id: _Prediction | None = None
    selection: Selection | None = None
    payload: _Payload | None = None
    reason: _Text | None = None
    reason_code: _Model | None = None
    schema_version: Literal[1] = 1


_DECODE: Final = msgspec.json.Decoder(Plain).decode


def plain(raw: RawRecord) -> tuple[Plain, datetime] | None:
    """Return what a line of the raw log says, and of when, if it is plain and good.

    None: `parse` must judge it.
    """
    if raw.content_type != PLAIN or raw.ce or _NUL in raw.body:
        return None
    said = _read(raw.body)
    moment = None if said is None else date_time(said.occurred_at)
    return None if said is None or moment is None else (said, moment)


def plain_message(body: bytes, content_type: str, ce: Mapping[str, str]) -> Plain | None:
    """Return what a message says if it is plain and good; None: `parse` must judge it."""
    if content_type != PLAIN or (ce and ce.keys() != _TRACED) or _NUL_BYTES in body:
        return None
    said = _read(body)
    return said if said is not None and is_date_time(said.occurred_at) else None


def _read(body: str | bytes) -> Plain | None:
    """Return what a body says, if it is plain and but for its time good."""
    try:
        said = _DECODE(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if said.corrected is (said.predicted == said.final) or (
        said.payload is None and said.prediction_id is None
    ):
        return None
    return said
