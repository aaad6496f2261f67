import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from burnish.feedback.admission import admit, check_prediction, own_payload_key, payload_allowed
from burnish.feedback.model import (
    FeedbackRecord,
    MalformedFeedback,
    ModelFacts,
    PayloadNotAllowed,
    PredictionExpired,
    PredictionForeign,
    PredictionRequired,
    PredictionUnknown,
    UnknownLabel,
    UnknownModel,
)
from burnish.feedback.schema import SCHEMAS, Schema
from burnish.kernel.errors import InvalidInput
from burnish.kernel.ids import uuid7
from support.samples import prediction

OWN = "burnish:sha256:" + "ab" * 32
FACTS = ModelFacts(
    labels=("good", "defect"),
    kind="image-classification",
    payload_allow=("https://photos.example/laundry", "cdn.example", "file:///srv/photos/"),
)


def record(**changes: Any) -> FeedbackRecord:
    fields: dict[str, Any] = {
        "source": "app",
        "id": "r-1",
        "model": "laundry",
        "subject_id": "task-7",
        "final": "defect",
        "predicted": "good",
        "payload": OWN,
    } | changes
    return FeedbackRecord(
        corrected=True,
        occurred_at=datetime(2026, 5, 1, tzinfo=UTC),
        schema_version=1,
        **fields,
    )


def test_a_record_of_a_published_model_with_its_labels_is_admitted() -> None:
    admit(record(), {"laundry": FACTS})


SEARCH = ModelFacts(labels=(), kind="text-embedding")
GRADED: dict[str, Any] = {"predicted": ("d1", "d2"), "final": {"d2": 1.0}}


def test_documents_are_graded_where_the_model_ranks_them_and_its_query_is_text() -> None:
    admit(record(**GRADED, payload="red shoes"), {"laundry": SEARCH})
    with pytest.raises(PayloadNotAllowed):
        admit(record(**GRADED, payload="https://elsewhere.example/"), {"laundry": SEARCH})
    with pytest.raises(MalformedFeedback, match="final is"):
        admit(record(**GRADED), {"laundry": FACTS})


def test_where_the_policy_wants_a_prediction_a_record_names_one() -> None:
    strict = ModelFacts(labels=FACTS.labels, kind=FACTS.kind, require_prediction=True)
    admit(record(prediction_id=GIVEN), {"laundry": strict})
    with pytest.raises(PredictionRequired, match="prediction_id"):
        admit(record(), {"laundry": strict})


AT = datetime(2026, 5, 1, tzinfo=UTC)
WINDOW = timedelta(days=30)
GIVEN = f"3.{uuid7(int(AT.timestamp() * 1000), bytes(10))}"
UNDATED = "3.5c146b14-3c52-4afd-938a-375d0df1fbf6"


@pytest.mark.parametrize(
    ("id_", "found", "age", "error"),
    [
        (GIVEN, {}, WINDOW, None),
        (GIVEN, {}, WINDOW + timedelta(seconds=1), PredictionExpired),
        (GIVEN, {"model": "face"}, timedelta(days=1), PredictionForeign),
        (GIVEN, None, timedelta(days=1), PredictionUnknown),
        (GIVEN, None, timedelta(days=31), PredictionExpired),  # its row may be gone: its id tells
        (GIVEN, None, timedelta(seconds=5), None),  # the log may not have it yet
        (GIVEN, None, timedelta(days=-1), PredictionUnknown),
        (UNDATED, None, timedelta(0), PredictionUnknown),
    ],
)
def test_a_prediction_is_known_of_the_same_model_and_young_enough(
    id_: str,
    found: dict[str, Any] | None,
    age: timedelta,
    error: type[InvalidInput] | None,
) -> None:
    known = None if found is None else prediction(1, id=id_, at=AT, **found)
    outcome = nullcontext() if error is None else pytest.raises(error, match="prediction_id is")
    with outcome:
        check_prediction(record(prediction_id=id_), known, WINDOW, received=AT + age)


def test_an_unknown_model_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(UnknownModel, match="laundry"):
        admit(record(model="face"), {"laundry": FACTS})


@pytest.mark.parametrize("field", ["final", "predicted"])
def test_an_unknown_label_is_refused_with_the_labels_there_are(field: str) -> None:
    with pytest.raises(UnknownLabel, match=f"{field} is 'ugly'.*good, defect"):
        admit(record(**{field: "ugly"}), {"laundry": FACTS})


def test_a_payload_elsewhere_is_refused() -> None:
    with pytest.raises(PayloadNotAllowed):
        admit(record(payload="http://169.254.169.254/latest"), {"laundry": FACTS})


@pytest.mark.parametrize(
    "uri",
    [
        OWN,
        "https://photos.example/laundry/7.jpg",
        "https://photos.example/laundry",
        "https://PHOTOS.example/laundry/7.jpg?size=1",
        "http://cdn.example/any/7.jpg",
        "file:///srv/photos/7.jpg",
    ],
)
def test_payloads_of_our_store_allowed_prefixes_and_hosts_may_be_read(uri: str) -> None:
    assert payload_allowed(uri, FACTS.payload_allow)


@pytest.mark.parametrize(
    "uri",
    [
        "burnish:sha256:short",
        "burnish:md5:" + "ab" * 32,
        "https://photos.example.evil.org/laundry/7.jpg",
        "https://photos.example/laundry-private/7.jpg",
        "https://photos.example/laundry/../face/7.jpg",
        "https://photos.example/laundry/%2e%2e/face/7.jpg",
        "https://photos.example/laundry/%252e%252e/face/7.jpg",
        "https://photos.example/laundry\\..\\face",
        "https://photos.example:99999/laundry/7.jpg",
        "https://evil@cdn.example/7.jpg",
        "ftp://cdn.example/7.jpg",
        "cdn.example/7.jpg",
        "https://[cdn.example/7.jpg",
        "file:///srv/photos/../secret.key",
        "file://elsewhere/srv/photos/7.jpg",
        "https://cdn.example/7.jpg\nHost: other",
        "",
    ],
)
def test_a_payload_that_only_looks_allowed_is_not(uri: str) -> None:
    assert not payload_allowed(uri, FACTS.payload_allow)


def test_a_payload_in_our_store_has_an_object_key_and_others_have_none() -> None:
    assert own_payload_key(OWN) == f"payloads/sha256/ab/{'ab' * 32}"
    assert own_payload_key("https://cdn.example/7.jpg") is None


def test_every_field_of_a_schema_tells_its_fix_and_the_file_names_its_version() -> None:
    for version in SCHEMAS:
        file = files("burnish.feedback").joinpath(f"schemas/v{version}.json")
        raw = json.loads(file.read_text())
        assert raw["properties"]["schema_version"]["enum"] == [version]
        assert all(one["description"] for one in raw["properties"].values())


def test_a_schema_outside_the_subset_does_not_load() -> None:
    raw = json.loads(files("burnish.feedback").joinpath("schemas/v1.json").read_text())
    with pytest.raises(ValueError, match="subset"):
        Schema({**raw, "anyOf": []})
    raw["properties"]["model"]["oneOf"] = []
    with pytest.raises(ValueError, match="subset"):
        Schema(raw)
