"""The OpenAPI 3.1 document of the front, made of what it answers and of the schemas it reads."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from burnish import __version__, rim
from burnish.feedback.parse import BATCH, EVENT_TYPE, PLAIN, STRUCTURED
from burnish.feedback.schema import FILES
from burnish.ingest.answers import Accepted, Health, Place, Problem, Results, Sealed

NDJSON: Final = "application/x-ndjson"
METRICS: Final = "text/plain; version=1.0.0; charset=utf-8"

_REF: Final = "#/components/schemas/{name}"
_PROBLEMS: Final = {
    400: "The body is not what it claims to be: no JSON, no gzip, no zstd. It is quarantined.",
    401: "The bearer token is missing or not known.",
    403: "The token's role may not send feedback.",
    404: "There is no such path, or no such record.",
    405: "The path has no such method; `allow` lists those that it has.",
    408: "The body did not arrive in time.",
    409: "The identity is kept already, with another body. This one is quarantined.",
    413: "The body is too large, as it came or expanded.",
    415: "The format or the compression is none that is read. The body is quarantined.",
    422: "A value is wrong; `detail` names the field, the value and the fix. It is quarantined.",
    429: "Too much is waiting; come back after `retry-after` seconds.",
    500: "Our mistake; it is in the log under the trace id.",
    503: "A part that this needs does not answer; try again.",
}
_COMMON: Final = (405, 500)
_SEND: Final = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503, *_COMMON)
_SECONDS: Final = {"schema": {"type": "integer", "minimum": 0}}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"www-authenticate": {"required": True, "schema": {"type": "string"}}},
    405: {"allow": {"required": True, "schema": {"type": "string"}}},
    415: {"accept-encoding": {"schema": {"type": "string"}}},
    429: {"retry-after": {"required": True, **_SECONDS}},
    503: {"retry-after": _SECONDS},
}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}


def document() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Burnish: the feedback front",
                "version": __version__,
                "description": "Takes people's verdicts on predictions. A 2xx means durable.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": _paths(),
            "components": {
                "schemas": _schemas(),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _paths() -> dict[str, Any]:
    send_one = _operation(
        "Send one record.",
        {200: ("It was there already.", Accepted), 202: ("It is durable.", Accepted)},
        _SEND,
        body={PLAIN: "PlainRecord", STRUCTURED: "Event"},
        parameters=_event_headers(),
    )
    send_many = _operation(
        "Send many records; each has its own result, and none costs another.",
        {200: ("One result per record.", Results)},
        _SEND,
        body={NDJSON: "Lines", BATCH: "Events"},
    )
    place = _operation(
        "Find an accepted record.",
        {200: ("It is durable.", Place)},
        (401, 403, 404, 422, 503, *_COMMON),
        parameters=[
            {"in": "query", "name": name, "required": True, "schema": _TEXT}
            for name in ("source", "id")
        ],
    )
    seal = _operation(
        "Move what is accepted to the raw log, and wait until it is there.",
        {200: ("All of it is in the raw log.", Sealed)},
        (401, 403, 503, *_COMMON),
    )
    healthy = {200: ("It is well.", Health)}
    ready = healthy | {503: ("It takes no records just now.", Health)}
    return {
        "/v1/feedback": {"post": send_one},
        "/v1/feedback/batch": {"post": send_many},
        "/v1/feedback/place": {"get": place},
        "/v1/seal": {"post": seal},
        "/healthz": {"get": _operation("Tell whether the process runs.", healthy, _COMMON)},
        "/readyz": {"get": _operation("Tell whether it takes records.", ready, _COMMON)},
        "/metrics": {"get": _plain("Counters and gauges for Prometheus.", METRICS, "string")},
        "/openapi.json": {"get": _plain("This document.", PLAIN, "object")},
    }


def _operation(
    summary: str,
    answers: Mapping[int, tuple[str, type]],
    problems: Iterable[int],
    *,
    body: dict[str, str] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(status): {
            "description": text,
            "content": {PLAIN: {"schema": _ref(answer.__name__)}},
        }
        for status, (text, answer) in answers.items()
    }
    for status in problems:
        media = {rim.MEDIA_TYPE: {"schema": _ref(Problem.__name__)}}
        # 503 may be two things on one path: a problem, or how a part of it is.
        known = responses.setdefault(str(status), {"description": _PROBLEMS[status]})
        known["content"] = {**known.get("content", {}), **media}
        if status in _HEADERS:
            known["headers"] = _HEADERS[status]
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if 401 in problems:  # noqa: PLR2004 - who asks for a token can refuse one
        operation["security"] = [{"token": []}]
    if body is not None:
        content = {media: {"schema": _ref(name)} for media, name in body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    if parameters is not None:
        operation["parameters"] = parameters
    return operation


def _plain(summary: str, media: str, type_: str) -> dict[str, Any]:
    operation = _operation(summary, {}, _COMMON)
    content = {media: {"schema": {"type": type_}}}
    operation["responses"]["200"] = {"description": summary, "content": content}
    return operation


def _event_headers() -> list[dict[str, Any]]:
    """Return the attributes of an event in binary mode: all of them, or none."""
    event = _event({})["properties"]
    return [
        {"in": "header", "name": f"ce-{name}", "required": False, "schema": event[name]}
        for name in ("specversion", "type", "source", "id")
    ]


def _schemas() -> dict[str, Any]:
    _, components = msgspec.json.schema_components(
        [Accepted, Results, Place, Sealed, Health, Problem], ref_template=_REF
    )
    records = {f"Record{version}": _record(raw) for version, raw in FILES.items()}
    any_record = {"anyOf": [_ref(name) for name in records]}
    plain = [
        {
            **record,
            "properties": {"source": _TEXT, "id": _TEXT, **record["properties"]},
            "required": ["source", "id", *record["required"]],
        }
        for record in records.values()
    ]
    return {
        **components,
        **records,
        "Record": any_record,
        "PlainRecord": {"anyOf": plain, "description": "A record with its identity."},
        "Event": _event(_ref("Record")),
        "Events": {"type": "array", "items": _ref("Event")},
        "Lines": {"type": "string", "description": "One PlainRecord or Event as JSON a line."},
    }


def _record(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: rule for key, rule in raw.items() if key != "$schema"}


def _event(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A CloudEvents 1.0 event in JSON format.",
        "required": ["specversion", "type", "source", "id"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "type": {"type": "string", "enum": [EVENT_TYPE]},
            "source": _TEXT,
            "id": _TEXT,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"type": "string"},
            "data": data,
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
