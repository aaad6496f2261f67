"""What the quick way reads, it reads as `parse` does; what it is not sure of it leaves."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.feedback.model import RawRecord
from burnish.feedback.parse import EVENT_TYPE, PLAIN, STRUCTURED, record_of
from burnish.feedback.plain import plain, plain_message
from burnish.feedback.schema import date_time, is_date_time
from burnish.feedback.verdict import verdict_of
from burnish.kernel.errors import InvalidInput

IDENTITY: dict[str, Any] = {"source": "app", "id": "1"}
ENVELOPE: dict[str, Any] = {"specversion": "1.0", "type": EVENT_TYPE, **IDENTITY}
DATA: dict[str, Any] = {
    "model": "laundry",
    "subject_id": "task-1",
    "predicted": "good",
    "final": "defect",
    "corrected": True,
    "actor": "kim",
    "occurred_at": "2026-05-01T10:00:00+09:00",
    "payload": "burnish:sha256:" + "ab" * 32,
}
GOOD: dict[str, Any] = IDENTITY | DATA
ODD = st.sampled_from(
    [
        None, 1, 1.0, True, "", "good", "x" * 256, "x" * 4001, "a\0b", "ü\U0001f600", [], ["a"], {},
        {"a": 1.0}, 2**70, "2026-02-30T00:00:00Z", "2026-05-01t10:00:00.123456789z",
        "2026-05-01T10:00:60Z", "2026-05-01 10:00:00Z", "2026-05-01T10:00:00", "uncertainty",
        "1.01890000-0000-7000-8000-00000000000a", "1.01890000-0000-7000-8000-00000000000a\n",
    ]
)  # fmt: skip
ATTRIBUTES = st.sampled_from(
    [*ENVELOPE, "data", "data_base64", "time", "datacontenttype", "subject", "traceparent", "own"]
)
ODD_ATTRIBUTES = st.sampled_from(["0.3", "1.0", EVENT_TYPE, "burnish.feedback.v2", PLAIN, "a/json"])
NAMES = st.sampled_from(
    [*GOOD, "prediction_id", "selection", "reason", "reason_code", "schema_version", "strange"]
)


TIME = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"  # RFC 3339


def without(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: one for name, one in fields.items() if name not in names}


def encode(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)


def raw(body: str, content_type: str = PLAIN, **changes: Any) -> RawRecord:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    fields = {"offset": 7, "received_at": at, "source": "app", "id": "1"}
    return RawRecord(body=body, content_type=content_type, **(fields | changes))


def agrees(line: RawRecord) -> bool:
    """Tell whether the quick way took the line; raise unless it then says what `parse` says."""
    found = plain(line)
    message = plain_message(line.body.encode(), line.content_type, line.ce)
    assert message == (None if found is None else found[0])
    if found is None:
        return False
    quick, moment = found
    record = record_of(line)
    assert (quick.source, quick.id) == (record.source, record.id)
    said = verdict_of("0", line, record)
    assert moment == said.occurred_at
    for name in set(quick.__struct_fields__) & set(said.__struct_fields__) - {
        *IDENTITY,
        "occurred_at",
    }:
        assert getattr(quick, name) == getattr(said, name), name
    return True


@given(changes=st.dictionaries(NAMES, ODD, max_size=2), missing=st.sets(NAMES, max_size=1))
@settings(max_examples=400, deadline=None)
def test_whatever_it_takes_it_reads_as_parse_does(
    changes: dict[str, Any], missing: set[str]
) -> None:
    agrees(raw(encode(without(GOOD | changes, missing))))


@given(
    data=st.dictionaries(NAMES, ODD, max_size=1),
    changes=st.dictionaries(ATTRIBUTES, ODD_ATTRIBUTES | ODD, max_size=2),
    missing=st.sets(ATTRIBUTES, max_size=1),
)
@settings(max_examples=400, deadline=None)
def test_so_it_does_with_events(
    data: dict[str, Any], changes: dict[str, Any], missing: set[str]
) -> None:
    event = without(ENVELOPE | {"data": DATA | data} | changes, missing)
    agrees(raw(encode(event), STRUCTURED))
    headers = {name: value for name, value in event.items() if isinstance(value, str)}
    agrees(raw(encode(DATA | data), ce=headers))


def test_it_takes_each_wrapping() -> None:
    assert agrees(raw(encode(GOOD)))
    assert agrees(raw(encode(GOOD), ce={"traceparent": "00-0-0-00"}))
    assert agrees(raw(encode(DATA), ce=ENVELOPE))
    assert agrees(raw(encode(ENVELOPE | {"data": DATA}), STRUCTURED))
    usual = {"time": DATA["occurred_at"], "datacontenttype": PLAIN, "subject": "task-1"}
    assert agrees(raw(encode(ENVELOPE | usual | {"data": DATA}), STRUCTURED))


@pytest.mark.parametrize(
    "body",
    [
        encode(GOOD),
        json.dumps(GOOD, indent=2),
        encode(GOOD | {"prediction_id": None, "reason": "stain"}),
        encode(GOOD).replace('"final"', '"final":"good","final"'),
        encode(GOOD).replace('"actor"', '"\\u0061ctor"'),
    ],
)
def test_it_takes_what_nearly_all_lines_are(body: str) -> None:
    assert agrees(raw(body))


@pytest.mark.parametrize(
    "line",
    [
        raw(encode(GOOD), STRUCTURED),
        raw(encode(GOOD), ce={"id": "2"}),
        raw("no record"),
        raw("[" * 10_000),
        raw(encode(GOOD | {"corrected": False})),
        raw(encode(GOOD | {"schema_version": 1.0})),
    ],
)
def test_it_leaves_what_is_unusual_or_wrong(line: RawRecord) -> None:
    assert plain(line) is None


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_a_time_is_read_by_the_letter_of_its_standard(data: st.DataObject) -> None:
    text = data.draw(
        st.sampled_from(
            [
                "2026-05-01T10:00:00+00:00",
                "2026-05-01T10:00:00Z",
                "2026-05-01T10:00:00.5+09:00",
                "0001-01-01T00:00:00+09:00",
                "9999-12-31T23:59:59-09:00",
            ]
        )
    )
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = at + data.draw(st.integers(0, 2))
        text = text[:at] + data.draw(st.sampled_from([*"069-+:.,TtZzW /\0٣", ""])) + text[end:]
    moment = date_time(text)
    assert is_date_time(text) == (moment is not None)
    if re.fullmatch(TIME, text, re.ASCII) is None:
        assert moment is None
    elif moment is not None:
        assert moment == datetime.fromisoformat(text.upper())
        assert moment.tzinfo is UTC


def test_parse_refuses_what_breaks_the_schema() -> None:
    with pytest.raises(InvalidInput):
        record_of(raw(encode(GOOD | {"schema_version": 1.0})))


def test_a_message_may_be_traced_but_else_have_no_attributes() -> None:
    body = encode(GOOD).encode()
    assert plain_message(body, PLAIN, {"traceparent": "00-0-0-00"}) is not None
    assert plain_message(body, PLAIN, {"specversion": "1.0"}) is None
    assert plain_message(body, STRUCTURED, {}) is None


def test_a_message_that_is_not_utf_8_is_left_to_parse() -> None:
    body = encode(GOOD).encode().replace(b'"kim"', b'"k\xffm"')
    assert plain_message(body, PLAIN, {}) is None
