"""The quick look accepts what the schema accepts, as far as it looks, and nothing else."""

import base64
import json
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from burnish.feedback.model import MalformedFeedback
from burnish.feedback.parse import EVENT_TYPE, PLAIN, STRUCTURED, parse
from burnish.feedback.quick import Quick
from burnish.feedback.schema import FILES, SCHEMAS, is_date_time

RECORD: Final[dict[str, Any]] = {
    "schema_version": 1,
    "model": "laundry",
    "prediction_id": "7.0192f3c4-0000-7000-8000-000000000000",
    "subject_id": "task-1",
    "predicted": "good",
    "final": "defect",
    "corrected": True,
    "reason": None,
    "reason_code": "stain",
    "payload": "burnish:sha256:" + "ab" * 32,
    "actor": "kim",
    "occurred_at": "2026-05-01T10:00:00+09:00",
    "selection": "random",
}
ODD: Final = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_characters="\0"), max_size=4)
    | st.sampled_from([0, 1, 62, 63, 64, 255, 256, 4000, 4001]).map("x".__mul__)
    | st.sampled_from(["2026-02-30T00:00:00Z", "2026-05-01T10:00:00", "7.0192f3c4\n", "", "\n"])
    | st.lists(st.text(max_size=2), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(0, 101), max_size=2)
)
CHANGES: Final = st.dictionaries(st.sampled_from([*RECORD, "more", ""]), ODD, max_size=3)
QUICK: Final = {
    version: Quick(raw["properties"], raw["required"], is_date_time=is_date_time)
    for version, raw in FILES.items()
}


@given(changes=CHANGES, gone=st.sets(st.sampled_from(sorted(RECORD)), max_size=2))
@example(changes={}, gone=set())
@example(changes={"schema_version": True}, gone=set())
@example(changes={"corrected": 1}, gone=set())
@example(changes={"prediction_id": RECORD["prediction_id"] + "\n"}, gone=set())
def test_the_quick_look_and_the_rules_agree_on_records_of_scalars(
    changes: dict[str, Any], gone: set[str]
) -> None:
    data = {name: value for name, value in (RECORD | changes).items() if name not in gone}
    found = accepts(data)
    scalar = not any(isinstance(value, list | dict) for value in data.values())
    assert QUICK[1].fits(data) == (found and scalar)


@pytest.mark.parametrize("version", sorted(SCHEMAS))
def test_every_version_has_one(version: int) -> None:
    assert QUICK[version].fits(RECORD | {"schema_version": version})


def test_a_nul_is_found_where_nobody_has_looked_for_it() -> None:
    with pytest.raises(MalformedFeedback, match="actor"):
        SCHEMAS[1].check(RECORD | {"actor": "k\0m"})


@pytest.mark.parametrize("wrapping", ["plain", "structured", "base64"])
def test_a_nul_is_refused_in_every_wrapping(wrapping: str) -> None:
    data = RECORD | {"actor": "k\0m"}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "type": EVENT_TYPE,
        "source": "app",
        "id": "r-1",
    }
    if wrapping == "plain":
        body, media = data | {"source": "app", "id": "r-1"}, PLAIN
    elif wrapping == "structured":
        body, media = event | {"data": data}, STRUCTURED
    else:
        encoded = base64.b64encode(json.dumps(data).encode()).decode()
        body, media = event | {"data_base64": encoded}, STRUCTURED
    with pytest.raises(MalformedFeedback, match="actor"):
        parse(json.dumps(body).encode(), media, {})


def accepts(data: dict[str, Any]) -> bool:
    try:
        SCHEMAS[1].check(data)
    except MalformedFeedback:
        return False
    return True
