import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.feedback.model import (
    FeedbackRecord,
    MalformedFeedback,
    NotJson,
    RawRecord,
    Selection,
    UnsupportedMediaType,
    UnsupportedSchemaVersion,
)
from burnish.feedback.parse import BATCH, PLAIN, STRUCTURED, attributes, parse, record_of
from burnish.kernel.errors import InvalidInput

DATA: dict[str, Any] = {
    "model": "laundry",
    "subject_id": "task-7",
    "predicted": "good",
    "final": "defect",
    "corrected": True,
    "actor": "kim",
    "occurred_at": "2026-05-01T10:00:00+09:00",
    "payload": "burnish:sha256:" + "ab" * 32,
}
IDENTITY = {"source": "app", "id": "r-1"}
ENVELOPE = {"specversion": "1.0", "type": "burnish.feedback.v1", **IDENTITY}


def plain(**changes: Any) -> FeedbackRecord:
    fields = IDENTITY | DATA | changes
    body = {name: value for name, value in fields.items() if value is not ...}
    return parse(json.dumps(body).encode(), PLAIN, {})


def test_a_plain_record_is_read_with_every_field() -> None:
    prediction = "4.0192a1b2-0000-7000-8000-000000000000"
    record = plain(
        reason="a tear", reason_code="tear", selection="random", prediction_id=prediction
    )
    assert record == FeedbackRecord(
        source="app",
        id="r-1",
        model="laundry",
        subject_id="task-7",
        predicted="good",
        final="defect",
        corrected=True,
        actor="kim",
        occurred_at=datetime(2026, 5, 1, 1, tzinfo=UTC),
        payload=DATA["payload"],
        schema_version=1,
        reason="a tear",
        reason_code="tear",
        selection=Selection.RANDOM,
        prediction_id=prediction,
    )


def test_the_three_wrappings_hold_the_same_record() -> None:
    structured = json.dumps({**ENVELOPE, "data": DATA}).encode()
    headers = [(b"ce-" + name.encode(), value.encode()) for name, value in ENVELOPE.items()]
    assert parse(structured, STRUCTURED + "; charset=utf-8", {}) == plain()
    assert parse(json.dumps(DATA).encode(), PLAIN, attributes(headers)) == plain()


def structured(**changes: Any) -> FeedbackRecord:
    event = {**ENVELOPE, "data": DATA} | changes
    body = {name: value for name, value in event.items() if value is not ...}
    return parse(json.dumps(body).encode(), STRUCTURED, {})


def test_an_event_may_carry_its_data_in_base64_and_extensions_beside_it() -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    extensions = {"traceparent": "00-1-2-3", "time": "2026-05-01T10:00:00Z", "subject": "task"}
    for media in ("application/json", "application/vnd.shop+json; charset=utf-8", None):
        assert structured(data=..., data_base64=encoded, datacontenttype=media) == plain()
    assert structured(**extensions) == plain()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"specversion": ...}, "specversion is None"),
        ({"specversion": "0.3"}, "specversion is '0.3'"),
        ({"type": ...}, "type is None"),
        ({"type": 7}, "type is 7"),
        ({"id": ...}, "id is missing"),
        ({"id": 7}, "id is 7"),
        ({"source": ""}, "source is ''"),
        ({"time": "noon"}, "time is 'noon'"),
        ({"datacontenttype": "text/xml"}, "datacontenttype is 'text/xml'"),
        ({"datacontenttype": 7}, "datacontenttype is 7"),
        ({"data": ...}, "data is None"),
        ({"data": "{}"}, "data is '{}'"),
        ({"data_base64": "e30="}, "data_base64 is 'e30='"),
        ({"data": ..., "data_base64": "!"}, "data_base64 is '!'"),
        ({"data": ..., "data_base64": 7}, "data_base64 is 7"),
    ],
)
def test_an_event_that_breaks_cloudevents_is_refused_by_attribute(
    changes: dict[str, Any], names: str
) -> None:
    with pytest.raises(MalformedFeedback) as refused:
        structured(**changes)
    assert refused.value.detail.startswith(names)


def test_headers_are_unquoted_and_percent_decoded_once() -> None:
    assert attributes([(b"CE-Id", b"%2541"), (b"ce-source", rb'"a \"b\" %E2%82%AC"')]) == {
        "id": "%41",
        "source": 'a "b" €',
    }


@pytest.mark.parametrize(
    "headers",
    [
        [(b"ce-id", b"%FF")],
        [(b"ce-id", b"\xff")],
        [(b"ce-id", b"a"), (b"ce-id", b"b")],
    ],
    ids=["escaped", "raw", "twice"],
)
def test_headers_that_mean_nothing_or_two_things_are_refused(
    headers: list[tuple[bytes, bytes]],
) -> None:
    with pytest.raises(MalformedFeedback, match="ce-id"):
        attributes(headers)


def test_attributes_without_a_specversion_are_half_an_event() -> None:
    with pytest.raises(MalformedFeedback, match="specversion"):
        parse(json.dumps(IDENTITY | DATA).encode(), PLAIN, {"id": "r-1"})
    trace_only = {"traceparent": "00-1-2-3"}
    assert parse(json.dumps(IDENTITY | DATA).encode(), PLAIN, trace_only) == plain()


@pytest.mark.parametrize("media", ["application/cloudevents+xml", BATCH, "application/cloudevents"])
def test_a_format_of_events_that_is_not_read_is_told_from_a_broken_one(media: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="content-type"):
        parse(json.dumps(ENVELOPE).encode(), media, {})


RANKED: dict[str, Any] = {"predicted": ["d1", "d2", "d3"], "final": {"d1": 2, "d3": 0.5}}


def test_a_ranked_answer_is_judged_by_grades_of_its_documents() -> None:
    record = plain(**RANKED, corrected=False)
    assert (record.predicted, record.final) == (("d1", "d2", "d3"), {"d1": 2.0, "d3": 0.5})
    assert plain(predicted=["d1"], final={"d1": 0}).corrected
    assert plain(predicted=["d1", "d2"], final={"d1": 1, "d2": 2}).corrected
    assert plain(predicted=["d1"], final={"d9": 1}).corrected
    assert plain(predicted=None, final={"d9": 1}).corrected


@pytest.mark.parametrize(
    "changes",
    [
        {**RANKED, "corrected": True},
        {"predicted": "d1", "final": {"d1": 1}},
        {"predicted": ["d1"], "final": "d1"},
        {"predicted": ["d1", "d1"], "final": {"d1": 0}},
        {"predicted": [], "final": {"d1": 0}},
        {"predicted": [7], "final": {"d1": 0}},
        {"predicted": ["d1"], "final": {}},
        {"predicted": ["d1"], "final": {"d1": "good"}},
        {"predicted": ["d1"], "final": {"d1": -1}},
        {"predicted": ["d1"], "final": {"d1": True}},
        {"predicted": ["d1"], "final": {"": 1}},
        {"predicted": ["d1"], "final": {"a\0b": 1}},
        {"predicted": ["d1"], "final": {str(number): 0 for number in range(1001)}},
    ],
)
def test_grades_and_rankings_that_do_not_fit_are_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedFeedback):
        plain(**changes)


def test_a_line_of_the_raw_log_reads_as_what_came_in() -> None:
    raw = RawRecord(
        offset=3,
        received_at=datetime(2026, 5, 1, tzinfo=UTC),
        source="app",
        id="r-1",
        content_type=PLAIN,
        body=json.dumps(DATA),
        ce=ENVELOPE,
    )
    assert record_of(raw) == plain()


def test_a_label_that_nothing_had_predicted_is_a_correction() -> None:
    assert plain(predicted=...).predicted is None
    assert plain(predicted=None).corrected
    with pytest.raises(MalformedFeedback, match="corrected"):
        plain(predicted=None, corrected=False)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"final": ...}, "final is missing"),
        ({"final": 3}, "final is 3"),
        ({"final": ""}, "final is ''"),
        ({"actor": ...}, "actor is missing"),
        ({"id": ...}, "id is missing"),
        ({"source": ""}, "source is ''"),
        ({"id": "x" * 256}, "id is"),
        ({"id": "a\0b"}, "id is"),
        ({"subject_id": "a\0b"}, "subject_id is"),
        ({"corrected": "yes"}, "corrected is 'yes'"),
        ({"corrected": False}, "corrected is False"),
        ({"occurred_at": "yesterday"}, "occurred_at is 'yesterday'"),
        ({"occurred_at": "2026-05-01T10:00:00"}, "occurred_at"),
        ({"occurred_at": "2026-02-30T10:00:00Z"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+09:00"}, "occurred_at"),
        ({"selection": "gut"}, "selection is 'gut'"),
        ({"prediction_id": "7"}, "prediction_id is '7'"),
        ({"payload": None}, "payload"),
        ({"labell": "good"}, "labell is 'good'"),
        ({"model": ["deep"]}, "model is 'an array'"),
        ({"schema_version": "1"}, "schema_version is '1'"),
        ({"schema_version": True}, "schema_version is True"),
    ],
)
def test_a_record_that_breaks_its_schema_is_refused_by_field_value_and_fix(
    changes: dict[str, Any], names: str
) -> None:
    with pytest.raises(MalformedFeedback) as refused:
        plain(**changes)
    assert refused.value.detail.startswith(names)
    assert ": " in refused.value.detail


def test_an_event_that_is_traced_twice_says_so_itself() -> None:
    headers = [(b"traceparent", b"00-a"), (b"ce-traceparent", b"00-b"), (b"traceparent", b"00-c")]
    assert attributes(headers) == attributes(headers[::-1]) == {"traceparent": "00-b"}
    assert attributes(headers[:1]) == {"traceparent": "00-a"}


@pytest.mark.parametrize("wrapping", ["plain", "structured", "base64", "binary"])
def test_a_nul_is_refused_in_every_wrapping(wrapping: str) -> None:
    data = json.dumps(DATA | {"actor": "k\0m"}).encode()
    body, media, headers = {
        "plain": (json.dumps(IDENTITY | DATA | {"actor": "k\0m"}).encode(), PLAIN, {}),
        "structured": (json.dumps(ENVELOPE | {"data": json.loads(data)}).encode(), STRUCTURED, {}),
        "base64": (
            json.dumps(ENVELOPE | {"data_base64": base64.b64encode(data).decode()}).encode(),
            STRUCTURED,
            {},
        ),
        "binary": (data, PLAIN, ENVELOPE),
    }[wrapping]
    with pytest.raises(MalformedFeedback, match="actor"):
        parse(body, media, headers)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_an_unknown_schema_version_is_told_from_a_broken_record(version: int) -> None:
    with pytest.raises(UnsupportedSchemaVersion):
        plain(schema_version=version)


def test_an_event_of_a_later_type_is_an_unsupported_version_and_a_foreign_one_malformed() -> None:
    for type_, error in [
        ("burnish.feedback.v2", UnsupportedSchemaVersion),
        ("com.example.other", MalformedFeedback),
    ]:
        event = json.dumps({**ENVELOPE, "type": type_, "data": DATA}).encode()
        with pytest.raises(error):
            parse(event, STRUCTURED, {})


@pytest.mark.parametrize("body", [b"", b"{nope", b"\xff\xfe", b'{"a": "\xff"}', b"{} {}", b"NaN"])
def test_what_is_not_json_is_said_to_be_so(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse(body, PLAIN, {})


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"id": 1e999}',
        b"9" * 10_000,
        b"[]",
        b"7",
    ],
)
def test_json_that_no_record_can_be_is_malformed_and_harms_nobody(body: bytes) -> None:
    with pytest.raises(MalformedFeedback):
        parse(body, PLAIN, {})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*DATA, *IDENTITY, "selection", "reason"]), JSON_VALUES))
def test_any_json_is_a_record_or_an_input_error(changes: dict[str, Any]) -> None:
    try:
        record = plain(**changes)
    except InvalidInput as error:
        detail = error.detail
    else:
        detail = ""
        assert record.corrected == (record.predicted != record.final)
    assert len(detail) < 1000


@given(st.binary(max_size=200), st.sampled_from([PLAIN, STRUCTURED, "text/plain"]))
def test_any_bytes_are_a_record_or_an_input_error(body: bytes, content_type: str) -> None:
    with pytest.raises((InvalidInput, NotJson)):
        parse(body, content_type, {})
