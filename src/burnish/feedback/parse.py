"""From the bytes of a request to a checked record: plain JSON and CloudEvents 1.0.

Pure functions on bytes and headers. A record comes in one of three wrappings:
    structured   content type application/cloudevents+json; the record is the event's `data`
    binary       `ce-*` headers around a body that is the record
    plain        the record's fields with `id` and `source` beside them
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from burnish.feedback.model import (
    FeedbackRecord,
    MalformedFeedback,
    NotJson,
    RawRecord,
    Selection,
    UnsupportedMediaType,
    UnsupportedSchemaVersion,
)
from burnish.feedback.ranking import agrees
from burnish.feedback.schema import DEFAULT_VERSION, NUL, is_date_time, malformed, schema, shown
from burnish.kernel.clock import parse_time

PLAIN: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
EVENT_TYPE: Final = "burnish.feedback.v1"

_OUR_TYPE: Final = re.compile(r"burnish\.feedback\.v\d+", re.ASCII)
_MAX_IDENTITY: Final = 255  # characters of a source and of an id, as the tables hold them
_CE_PREFIX: Final = b"ce-"
_EVENT_FORMATS: Final = "application/cloudevents"
_JSON: Final = re.compile(r"[^/]+/([^/]+\+)?json", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)")
TRACE: Final = "traceparent"
_TRACE_HEADER: Final = TRACE.encode()


def attributes(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the CloudEvents attributes among HTTP headers, `traceparent` with them.

    Values are unquoted and percent-decoded as the HTTP binding of CloudEvents 1.0 says (3.1.3.2).
    Raises MalformedFeedback if one comes twice, or is not UTF-8 once it is decoded.

    >>> attributes([(b"ce-id", b"caf%C3%A9"), (b"ce-source", b'"the app"'), (b"host", b"here")])
    {'id': 'café', 'source': 'the app'}
    """
    found: dict[str, str] = {}
    trace: str | None = None
    for raw, value in headers:
        lower = raw.lower()
        if lower.startswith(_CE_PREFIX):
            name = lower.decode("latin-1")
            attribute = name[len(_CE_PREFIX) :]
            if attribute in found:
                raise malformed(name, value.decode("latin-1"), "send it once")
            found[attribute] = _header_text(name, value)
        elif lower == _TRACE_HEADER and trace is None:
            trace = value.decode("latin-1")
    if trace is not None:
        found.setdefault(TRACE, trace)
    return found


def parse(body: bytes, content_type: str, ce: Mapping[str, str]) -> FeedbackRecord:
    """Return the record in a message that holds one.

    Args:
        body: verbatim.
        content_type: as sent; parameters such as a charset are ignored, JSON is UTF-8.
        ce: CloudEvents attributes that came as headers; empty if none.

    Raises:
        UnsupportedMediaType: an event format that is not JSON, or a batch.
        NotJson: the body is not JSON in UTF-8.
        MalformedFeedback: envelope or record break their schema, or `corrected` is untrue.
        UnsupportedSchemaVersion: a schema version, or event type, that we do not have.
    """
    format_ = media_type(content_type)
    if format_.startswith(_EVENT_FORMATS) and format_ != STRUCTURED:
        raise UnsupportedMediaType.of(
            "content-type",
            shown(format_),
            f"send {STRUCTURED}, or {PLAIN}; a batch goes to /v1/feedback/batch",
        )
    decoded = _decode(body)
    if format_ == STRUCTURED:
        source, id_ = envelope(decoded)
        data = _data(decoded)
    elif ce.keys() - {TRACE}:
        source, id_ = envelope(ce)
        data = decoded
    else:
        data = dict(decoded)
        source, id_ = _identity("source", data), _identity("id", data)
        del data["source"], data["id"]
    return _record(source, id_, data)


def record_of(raw: RawRecord) -> FeedbackRecord:
    """Return the record in a line of the raw log; raises as `parse` does."""
    return parse(raw.body.encode(), raw.content_type, raw.ce)


def media_type(content_type: str) -> str:
    """Return a content type without its parameters.

    >>> media_type("Application/JSON; charset=utf-8")
    'application/json'
    """
    return content_type.partition(";")[0].strip().lower()


def is_batch(content_type: str, ce: Mapping[str, str]) -> bool:
    """Tell whether a message says of itself that it holds several records.

    >>> is_batch("application/x-ndjson; charset=utf-8", {})
    True
    """
    return "specversion" not in ce and media_type(content_type) in {BATCH, *LINES}


def envelope(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return source and id of an event, or of the attributes that came as headers.

    Raises UnsupportedSchemaVersion, MalformedFeedback.
    """
    if event.get("specversion") != "1.0":
        raise malformed("specversion", event.get("specversion"), "send CloudEvents 1.0")
    type_ = event.get("type")
    if type_ != EVENT_TYPE:
        if isinstance(type_, str) and _OUR_TYPE.fullmatch(type_):
            raise UnsupportedSchemaVersion.of("type", type_, f"send {EVENT_TYPE}")
        raise malformed("type", type_, f"send {EVENT_TYPE}")
    time = event.get("time")
    if time is not None and not (isinstance(time, str) and is_date_time(time)):
        raise malformed("time", time, "give an RFC 3339 time, or leave it out")
    return _identity("source", event), _identity("id", event)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        body.decode()  # by itself: it knows the place, and a skipped part hides nothing from it
        value = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    except RecursionError as error:
        raise MalformedFeedback("The body nests too deeply: a record is a flat object.") from error
    except msgspec.ValidationError as error:  # JSON, but with a number beyond 64 bits
        raise MalformedFeedback(f"The body holds what no record can: {error}.") from error
    except msgspec.DecodeError as error:
        raise NotJson(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise malformed("body", value, "send one JSON object")
    return value


def _header_text(name: str, value: bytes) -> str:
    text = value.strip()
    if len(text) > 1 and text[:1] == text[-1:] == b'"':
        text = _ESCAPED.sub(r"\1", text[1:-1].decode("latin-1")).encode("latin-1")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        fix = "send UTF-8, percent-encoded"
        raise malformed(name, value.decode("latin-1"), fix) from error


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record in an event in JSON format (CloudEvents 1.0, JSON format, 3.1)."""
    content = event.get("datacontenttype")
    if content is not None and not (
        isinstance(content, str) and _JSON.fullmatch(media_type(content))
    ):
        raise malformed("datacontenttype", content, f"send {PLAIN}")
    data, encoded = event.get("data"), event.get("data_base64")
    if encoded is None:
        if not isinstance(data, dict):
            raise malformed("data", data, "give the record as a JSON object")
        return data
    if data is not None:
        raise malformed("data_base64", encoded, "give either data or data_base64")
    try:
        body = base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError) as error:
        raise malformed("data_base64", encoded, "give the record's JSON in base64") from error
    return _decode(body)


def _identity(name: str, holder: Mapping[str, Any]) -> str:
    value = holder.get(name)
    if isinstance(value, str) and 0 < len(value) <= _MAX_IDENTITY and NUL not in value:
        return value
    fix = f"give a text of 1 to {_MAX_IDENTITY} characters; source and id identify the record"
    if name not in holder:
        raise MalformedFeedback(f"{name} is missing: {fix}", field=name, fix=fix)
    raise malformed(name, value, fix)


def _record(source: str, id_: str, data: dict[str, Any]) -> FeedbackRecord:
    version = data.get("schema_version", DEFAULT_VERSION)
    schema(version).check(data)
    predicted, final = data.get("predicted"), data["final"]
    if predicted is not None and isinstance(predicted, list) != isinstance(final, dict):
        fix = "a label goes with a label, grades of documents with the ids as they were ranked"
        raise malformed("predicted", predicted, fix)
    if isinstance(final, dict):
        final = {document: float(grade) for document, grade in final.items()}
        differs = predicted is None or not agrees(predicted, final)
        why = "predicted and the grades of final make it"
    else:
        differs = predicted != final
        why = f"predicted {predicted!r} and final {final!r} make it"
    if data["corrected"] != differs:
        raise malformed("corrected", data["corrected"], f"{why} {differs}")
    if data.get("payload") is None and data.get("prediction_id") is None:
        raise malformed("payload", None, "name the input by its URI, or give a prediction_id")
    selection = data.get("selection")
    return FeedbackRecord(
        source=source,
        id=id_,
        model=data["model"],
        subject_id=data["subject_id"],
        final=final,
        corrected=data["corrected"],
        occurred_at=parse_time(data["occurred_at"].upper()),
        schema_version=version,
        predicted=tuple(predicted) if isinstance(predicted, list) else predicted,
        prediction_id=data.get("prediction_id"),
        selection=Selection(selection) if selection else None,
        payload=data.get("payload"),
        actor=data["actor"],
        reason=data.get("reason"),
        reason_code=data.get("reason_code"),
    )
