"""Contract of `feedback.prediction.PredictionStore`: kept once, found by id."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from burnish.adapters.sql.predictions import SqlPredictions
from support.concurrency import at_once
from support.samples import prediction

KOREA = timezone(timedelta(hours=9))


@pytest.fixture
def store(engine: Engine) -> SqlPredictions:
    return SqlPredictions(engine)


def test_what_was_appended_is_found_as_it_was(store: SqlPredictions) -> None:
    one, two = prediction(1), prediction(2, payload_sha256=None)
    store.append([one, two])
    assert store.lookup(["3.1", "3.2", "3.9"]) == {"3.1": one, "3.2": two}


def test_the_same_id_again_changes_nothing(store: SqlPredictions) -> None:
    store.append([prediction(1)])
    store.append([prediction(1, label="defect"), prediction(2)])
    assert store.lookup(["3.1"])["3.1"].label == "good"
    assert set(store.lookup(["3.1", "3.2"])) == {"3.1", "3.2"}


def test_times_are_kept_in_utc(store: SqlPredictions) -> None:
    store.append([replace(prediction(1), at=datetime(2026, 5, 1, 19, tzinfo=KOREA))])
    found = store.lookup(["3.1"])["3.1"].at
    assert found == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)


def test_many_ids_are_looked_up_at_once(store: SqlPredictions) -> None:
    store.append([prediction(number) for number in range(1300)])
    assert len(store.lookup([f"3.{number}" for number in range(2000)])) == 1300
    assert store.lookup([]) == {}
    store.append([])


def test_replicas_append_at_once(store: SqlPredictions) -> None:
    def append(replica: int) -> None:
        for batch in range(5):
            store.append([prediction(100 * replica + 10 * batch + one) for one in range(10)])

    _, errors = at_once(append)
    assert errors == []
    assert len(store.lookup([f"3.{number}" for number in range(1000)])) == 400
