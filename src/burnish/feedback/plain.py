"""The quick way to read what nearly all records are: a label for one thing, nothing odd.

A front judges thousands a second, a dataset build reads millions. What this reads it reads as
`parse` does (a test compares them), in each of the three wrappings; whatever it is not sure of it
leaves to `parse`, which can say why, and says None.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.parse import EVENT_TYPE, PLAIN, STRUCTURED, TRACE, envelope
from burnish.feedback.schema import FILES, date_time, is_date_time
from burnish.kernel.errors import InvalidInput

_V1: Final = FILES[1]["properties"]
_NUL: Final = "\\u0000"
_NUL_BYTES: Final = _NUL.encode()
_TRACED: Final = frozenset([TRACE])
_MEDIA: Final = frozenset([None, PLAIN])

_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Model = Annotated[str, Meta(min_length=1, max_length=63)]
_Text = Annotated[str, Meta(max_length=4000)]
_Payload = Annotated[str, Meta(min_length=1, max_length=4000)]
_Prediction = Annotated[str, Meta(pattern=_V1["prediction_id"]["pattern"])]


class Plain(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What such a record says: schema version 1, with its identity beside it."""

    model: _Model
    subject_id: _Name
    final: _Name
    corrected: bool
    actor: _Name
    occurred_at: Annotated[str, Meta(max_length=64)]
    source: _Name = ""  # empty while its envelope has it
    id: _Name = ""
    predicted: _Name | None = None
    prediction_id: _Prediction | None = None
    selection: Selection | None = None
    payload: _Payload | None = None
    reason: _Text | None = None
    reason_code: _Model | None = None
    schema_version: Literal[1] = 1


class _Event(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A CloudEvent in JSON format, with the attributes that its standard names."""

    specversion: Literal["1.0"]
    type: str
    source: _Name
    id: _Name
    data: Plain
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


_DECODE: Final = msgspec.json.Decoder(Plain).decode
_DECODE_EVENT: Final = msgspec.json.Decoder(_Event).decode


def plain(raw: RawRecord) -> tuple[Plain, datetime] | None:
    """Return what a line of the raw log says, and of when, if it is plain and good.

    None: `parse` must judge it.
    """
    said = None if _NUL in raw.body else _read(raw.body, raw.content_type, raw.ce)
    moment = None if said is None else date_time(said.occurred_at)
    return None if said is None or moment is None else (said, moment)


def plain_message(body: bytes, content_type: str, ce: Mapping[str, str]) -> Plain | None:
    """Return what a message says if it is plain and good; None: `parse` must judge it."""
    said = None if _NUL_BYTES in body else _read(body, content_type, ce)
    return said if said is not None and is_date_time(said.occurred_at) else None


def _read(body: str | bytes, content_type: str, ce: Mapping[str, str]) -> Plain | None:
    """Return what a body says, if it is plain and but for its time good."""
    try:
        if content_type == STRUCTURED:
            said = _of_event(_DECODE_EVENT(body))
        elif content_type != PLAIN:
            return None
        elif ce and ce.keys() != _TRACED:
            said = _named(_DECODE(body), *envelope(ce))
        else:
            said = _DECODE(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError, InvalidInput):
        return None
    if (
        said is None
        or not said.source
        or not said.id
        or said.corrected is (said.predicted == said.final)
        or (said.payload is None and said.prediction_id is None)
    ):
        return None
    return said


def _of_event(event: _Event) -> Plain | None:
    if (
        event.type != EVENT_TYPE
        or event.datacontenttype not in _MEDIA
        or (event.time is not None and not is_date_time(event.time))
    ):
        return None
    return _named(event.data, event.source, event.id)


def _named(said: Plain, source: str, id_: str) -> Plain | None:
    """Return a record with the identity that its envelope gives it, unless it has one itself."""
    return None if said.source or said.id else replace(said, source=source, id=id_)
