"""The prediction log: nothing waits for it, and what it took it writes, inputs before rows."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burnish.adapters import prediction_log
from burnish.adapters.objects import LocalObjects
from burnish.adapters.prediction_log import PredictionWriter
from burnish.feedback.prediction import Prediction
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from support.samples import prediction as answered

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Rows:
    """A prediction store in memory that can be out of reach, and checks what comes first."""

    def __init__(self, objects: LocalObjects) -> None:
        self.objects = objects
        self.rows: dict[str, Prediction] = {}
        self.batches: list[int] = []
        self.reachable = threading.Event()
        self.reachable.set()
        self.tries = 0

    def append(self, predictions: Sequence[Prediction]) -> None:
        self.tries += 1
        if not self.reachable.is_set():
            raise OSError("out of reach")
        for prediction in predictions:
            if prediction.payload_sha256 is not None:
                assert self.objects.exists(payload_key(prediction.payload_sha256))
            self.rows[prediction.id] = prediction
        self.batches.append(len(predictions))

    def lookup(self, ids: Collection[str]) -> Mapping[str, Prediction]:
        return {name: self.rows[name] for name in ids if name in self.rows}


def prediction(number: int, payload: bytes | None = None) -> Prediction:
    return answered(
        number, id=f"1.{number}", payload_sha256=None if payload is None else digest(payload)
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(
        LocalObjects(tmp_path, base_url="http://127.0.0.1", secret=b"s" * 32, clock=lambda: NOW)
    )


@pytest.fixture
def writer(rows: Rows) -> Iterator[PredictionWriter]:
    writer = PredictionWriter(rows, rows.objects, most_waiting=1500)
    writer.start()
    yield writer
    rows.reachable.set()
    writer.stop()


def test_answers_are_written_in_batches_after_their_inputs(
    writer: PredictionWriter, rows: Rows
) -> None:
    photos = [b"photo-1", b"photo-2", b"photo-1"]
    for number, photo in enumerate(photos):
        assert writer.offer(prediction(number, photo), photo)
    assert writer.offer(prediction(9), None)
    until(lambda: len(rows.rows) == 4)
    assert sorted(rows.rows) == ["1.0", "1.1", "1.2", "1.9"]
    assert rows.objects.get(payload_key(digest(b"photo-1"))) == b"photo-1"


def test_what_is_queued_when_it_stops_is_written(rows: Rows) -> None:
    writer = PredictionWriter(rows, rows.objects, most_waiting=1500)
    writer.start()
    for number in range(1200):
        assert writer.offer(prediction(number), None)
    writer.stop()
    assert len(rows.rows) == 1200
    assert max(rows.batches) <= prediction_log.BATCH
    assert not writer.offer(prediction(5000), None)


def test_a_store_out_of_reach_delays_rows_and_loses_none(
    writer: PredictionWriter, rows: Rows
) -> None:
    rows.reachable.clear()
    writer.offer(prediction(1, b"photo"), b"photo")
    until(lambda: rows.tries >= 2)
    rows.reachable.set()
    until(lambda: "1.1" in rows.rows)


def test_a_full_queue_refuses_at_once_instead_of_growing(
    writer: PredictionWriter, rows: Rows
) -> None:
    rows.reachable.clear()
    taken = sum(writer.offer(prediction(number), None) for number in range(5000))
    assert taken < 5000
    rows.reachable.set()
    until(lambda: len(rows.rows) == taken)


def test_inputs_too_large_together_are_refused(
    writer: PredictionWriter, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "MAX_WAITING_BYTES", 1000)
    rows.reachable.clear()
    assert writer.offer(prediction(1, bytes(800)), bytes(800))
    assert not writer.offer(prediction(2, bytes(300)), bytes(300))
    rows.reachable.set()
    until(lambda: "1.1" in rows.rows)
    until(lambda: writer.offer(prediction(3, bytes(300)), bytes(300)))
