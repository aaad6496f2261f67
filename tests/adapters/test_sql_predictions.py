"""Predictions in SQLite: kept once, found by id."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.schema import metadata
from burnish.feedback.prediction import Prediction
from support.world import prediction as answered

KOREA = timezone(timedelta(hours=9))


def prediction(number: int, label: str = "good") -> Prediction:
    at = datetime(2026, 5, 1, 10, 0, 0, 250, tzinfo=UTC)
    return answered(f"3.{number}", label=label, at=at, payload_sha256=f"sha256:{number:064x}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlPredictions]:
    engine = make_engine(f"sqlite:///{tmp_path / 'burnish.db'}")
    metadata.create_all(engine)
    yield SqlPredictions(engine)
    engine.dispose()


def test_what_was_appended_is_found_as_it_was(store: SqlPredictions) -> None:
    one, two = prediction(1), msgspec.structs.replace(prediction(2), payload_sha256=None)
    store.append([one, two])
    assert store.lookup(["3.1", "3.2", "3.9"]) == {"3.1": one, "3.2": two}


def test_the_same_id_again_changes_nothing(store: SqlPredictions) -> None:
    store.append([prediction(1)])
    store.append([prediction(1, label="defect"), prediction(2)])
    assert store.lookup(["3.1"])["3.1"].label == "good"
    assert set(store.lookup(["3.1", "3.2"])) == {"3.1", "3.2"}


def test_times_are_kept_in_utc(store: SqlPredictions) -> None:
    abroad = msgspec.structs.replace(prediction(1), at=datetime(2026, 5, 1, 19, tzinfo=KOREA))
    store.append([abroad])
    assert store.lookup(["3.1"])["3.1"].at == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_many_ids_are_looked_up_at_once(store: SqlPredictions) -> None:
    store.append([prediction(number) for number in range(1300)])
    assert len(store.lookup([f"3.{number}" for number in range(2000)])) == 1300
    assert store.lookup([]) == {}
    store.append([])
