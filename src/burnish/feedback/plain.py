"""The quick way to read the lines that nearly all lines are: plain JSON, a label, nothing odd.

A dataset build reads millions of lines. What this reads it reads as `parse` does (a test compares
them); whatever it is not sure of it leaves to `parse`, and says None.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.parse import PLAIN
from burnish.feedback.schema import FILES, date_time

_V1: Final = FILES[1]["properties"]
_NUL: Final = "\\u0000"

_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Model = Annotated[str, Meta(min_length=1, max_length=63)]
_Text = Annotated[str, Meta(max_length=4000)]
_Payload = Annotated[str, Meta(min_length=1, max_length=4000)]
_Prediction = Annotated[str, Meta(pattern=_V1["prediction_id"]["pattern"])]


class Plain(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What such a line says: a record of schema version 1 with its identity beside it."""

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
    """Return what a line says, and of when, if it is plain and good.

    None: `parse` must judge it.
    """
    if raw.content_type != PLAIN or raw.ce or _NUL in raw.body:
        return None
    try:
        said = _DECODE(raw.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    moment = date_time(said.occurred_at)
    if (
        moment is None
        or said.corrected is (said.predicted == said.final)
        or (said.payload is None and said.prediction_id is None)
    ):
        return None
    return said, moment
