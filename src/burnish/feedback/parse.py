"""From the bytes of a request to a checked record: plain JSON and CloudEvents 1.0.

Pure functions on bytes and headers. A record comes in one of three wrappings:
    structured   content type application/cloudevents+json; the record is the event's `data`
    binary       `ce-*` headers around a body that is the record
    plain        the record's fields with `id` and `source` beside them
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from burnish.feedback.model import (
    FeedbackRecord,
    MalformedFeedback,
    NotJson,
    RawRecord,
    Selection,
    UnsupportedSchemaVersion,
)
from burnish.feedback.schema import DEFAULT_VERSION, NUL, malformed, schema
from burnish.kernel.clock import parse_time

PLAIN: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
EVENT_TYPE: Final = "burnish.feedback.v1"

_OUR_TYPE: Final = re.compile(r"burnish\.feedback\.v\d+", re.ASCII)
_MAX_IDENTITY: Final = 255  # characters of a source and of an id, as the tables hold them
_CE_PREFIX: Final = "ce-"


def attributes(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the CloudEvents attributes among HTTP headers, `traceparent` with them.

    >>> attributes([(b"ce-id", b"caf%C3%A9"), (b"host", b"here")])
    {'id': 'café'}
    """
    found = {}
    for raw, value in headers:
        name = raw.decode("latin-1").lower()
        if name.startswith(_CE_PREFIX):
            found[name.removeprefix(_CE_PREFIX)] = unquote(value.decode("latin-1"))
        elif name == "traceparent":
            found.setdefault(name, value.decode("latin-1"))
    return found


def parse(body: bytes, content_type: str, ce: Mapping[str, str]) -> FeedbackRecord:
    """Return the record in a message that holds one.

    Args:
        body: verbatim.
        content_type: as sent; parameters such as a charset are ignored, JSON is UTF-8.
        ce: CloudEvents attributes that came as headers; empty if none.

    Raises:
        NotJson: the body is not JSON in UTF-8.
        MalformedFeedback: envelope or record break their schema, or `corrected` is untrue.
        UnsupportedSchemaVersion: a schema version, or event type, that we do not have.
    """
    decoded = _decode(body)
    if media_type(content_type) == STRUCTURED:
        source, id_ = _envelope(decoded)
        data = decoded.get("data")
        if not isinstance(data, dict):
            raise malformed("data", data, "give the record as a JSON object")
    elif "specversion" in ce:
        source, id_ = _envelope(ce)
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


def _decode(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
        body.decode()  # a skipped part could hide what is not UTF-8
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


def _envelope(event: Mapping[str, Any]) -> tuple[str, str]:
    if event.get("specversion") != "1.0":
        raise malformed("specversion", event.get("specversion"), "send CloudEvents 1.0")
    type_ = event.get("type")
    if type_ != EVENT_TYPE:
        if isinstance(type_, str) and _OUR_TYPE.fullmatch(type_):
            raise UnsupportedSchemaVersion.of("type", type_, f"send {EVENT_TYPE}")
        raise malformed("type", type_, f"send {EVENT_TYPE}")
    return _identity("source", event), _identity("id", event)


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
    if data["corrected"] != (predicted != final):
        raise malformed(
            "corrected",
            data["corrected"],
            f"predicted {predicted!r} and final {final!r} make it {predicted != final}",
        )
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
        predicted=predicted,
        prediction_id=data.get("prediction_id"),
        selection=Selection(selection) if selection else None,
        payload=data.get("payload"),
        actor=data["actor"],
        reason=data.get("reason"),
        reason_code=data.get("reason_code"),
    )
