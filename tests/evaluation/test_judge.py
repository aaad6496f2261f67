"""The judge on real objects and a real database, with models that answer by the pixel."""

from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from burnish.adapters.objects import LocalObjects
from burnish.adapters.system import new_id
from burnish.evaluation.model import Evaluation, Performance, Verdict
from burnish.evaluation.ports import HeldOut, Labelled
from burnish.evaluation.service import Artifact, EmptyHoldout, Judge
from burnish.kernel.digest import digest
from burnish.kernel.ids import DatasetId, RunId
from burnish.kernel.inference import LoadedModel
from burnish.kernel.objects import payload_key
from support.ledger import NOON, Ledger
from support.samples import policy as laundry

N = 60


class Threshold:
    """Calls a photo a defect if its first pixel reaches a threshold."""

    labels = ("good", "defect")

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        defect = images[:, 0, 0, 0] >= self.threshold
        return np.stack([~defect, defect], axis=1).astype(np.float32)

    def close(self) -> None:
        pass


class Thresholds:
    """An engine whose artifacts are thresholds in decimal; counts what it loads."""

    def __init__(self) -> None:
        self.loads = 0

    def load(self, artifact: bytes) -> LoadedModel:
        self.loads += 1
        return Threshold(int(artifact))


class Laboratory:
    """A sandbox in which every candidate loads at once and costs the same."""

    def __init__(self) -> None:
        self.costs = Performance(requests=100, mean_ms=20, throughput=80, memory_mb=150)
        self.photos: list[tuple[int, ...]] = []
        self.closed = 0
        self.crowds: list[bool] = []

    def open(self, artifact: bytes, photos: NDArray[np.uint8]) -> "Laboratory":
        self.photos.append(photos.shape)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1

    def measure(self, *, crowd: bool) -> Performance:
        self.crowds.append(crowd)
        return self.costs


OFF = {"latency_ms": 0, "memory_mb": 0, "throughput": 0}


class Court:
    """A judge with photos whose truth is: a defect from pixel 30 on."""

    def __init__(self, ledger: Ledger, folder: Path, **gates: float) -> None:
        self.ledger = ledger
        floors_off = {"validation": 0, "holdout": 0, "per_class": 0}
        self.policy = ledger.apply(laundry(gates=floors_off | OFF | gates))
        self.laboratory = Laboratory()
        self.objects = LocalObjects(
            folder, base_url="http://here", secret=b"s" * 32, clock=lambda: NOON
        )
        self.engine = Thresholds()
        self.judge = Judge(
            objects=self.objects,
            engine=self.engine,
            decode=lambda data: np.full((224, 224, 3), data[0], np.uint8),
            sandbox=self.laboratory,
            clock=ledger.clock,
            ids=new_id,
        )
        self.holdout = []
        for pixel in range(N):
            photo = bytes([pixel])
            self.objects.put(payload_key(digest(photo)), photo)
            label = "defect" if pixel >= N // 2 else "good"
            self.holdout.append(
                Labelled(subject=f"p{pixel:02}", label=label, payload_sha256=digest(photo))
            )

    def artifact(self, threshold: int) -> Artifact:
        data = str(threshold).encode()
        self.objects.put(f"artifacts/{threshold}", data)
        return Artifact(
            version=f"{threshold}.0.0", key=f"artifacts/{threshold}", sha256=digest(data)
        )

    def evaluate(self, candidate: int, champion: int | None, run: str = "") -> Evaluation:
        return self.judge.evaluate(
            self.ledger.unit(),
            run=RunId(run or new_id()),
            policy=self.policy,
            holdout=HeldOut(dataset=DatasetId("laundry@1"), epoch=1, examples=self.holdout),
            validation=(1, 1),
            candidate=self.artifact(candidate),
            champion=None if champion is None else self.artifact(champion),
        )


@pytest.fixture
def court(ledger: Ledger, tmp_path: Path) -> Court:
    return Court(ledger, tmp_path)


def test_a_better_model_passes_on_the_same_examples(court: Court) -> None:
    report = court.evaluate(candidate=30, champion=10)
    assert report.verdict is Verdict.PASS
    assert report.holdout.accuracy == 1
    assert report.holdout.champion_accuracy == pytest.approx(40 / 60)
    assert report.newly_right == tuple(f"p{pixel}" for pixel in range(10, 30))


def test_a_worse_model_fails_and_its_report_stays(court: Court) -> None:
    report = court.evaluate(candidate=10, champion=30)
    assert report.verdict is Verdict.FAIL
    assert len(report.newly_wrong) == 20
    assert court.objects.exists(f"evaluations/{report.id}.json")
    with court.ledger.view() as view:
        assert view.evaluations.get(report.id) == report


def test_a_first_model_has_no_one_to_beat(court: Court) -> None:
    report = court.evaluate(candidate=10, champion=None)
    assert (report.verdict, report.paired, report.newly_right) == (Verdict.PASS, None, ())


def test_a_run_is_judged_once(court: Court) -> None:
    run = new_id()
    first = court.evaluate(candidate=30, champion=10, run=run)
    assert court.evaluate(candidate=30, champion=10, run=run).id == first.id


def test_a_model_answers_a_holdout_once(court: Court) -> None:
    court.evaluate(candidate=10, champion=None)
    court.evaluate(candidate=30, champion=10)
    assert court.engine.loads == 2  # the champion's answers were kept from its own evaluation


def test_without_a_holdout_nothing_is_judged(court: Court) -> None:
    court.holdout = []
    with pytest.raises(EmptyHoldout, match="no holdout example yet"):
        court.evaluate(candidate=10, champion=None)


def test_where_no_performance_gate_is_on_nothing_is_measured(court: Court) -> None:
    assert court.evaluate(candidate=30, champion=None).performance is None
    assert court.laboratory.photos == []


def test_a_better_model_that_is_too_slow_fails_and_the_report_says_how_slow(
    ledger: Ledger, tmp_path: Path
) -> None:
    court = Court(ledger, tmp_path, latency_ms=200, memory_mb=2000)
    court.laboratory.costs = Performance(requests=100, mean_ms=350, memory_mb=150)
    report = court.evaluate(candidate=30, champion=10)
    assert report.verdict is Verdict.FAIL
    failed = [gate for gate in report.gates if gate.verdict is Verdict.FAIL]
    assert [(gate.gate, gate.value, gate.threshold) for gate in failed] == [
        ("latency_ms", 350, 200)
    ]
    with ledger.view() as view:
        assert view.evaluations.get(report.id).performance == court.laboratory.costs
    assert court.laboratory.photos == [(16, 224, 224, 3)]
    assert court.laboratory.closed == 1
    assert court.laboratory.crowds == [False]  # no throughput is asked for


def test_each_run_looks_at_the_holdout_once_also_if_it_is_evaluated_again(court: Court) -> None:
    run = new_id()
    for _ in range(2):
        court.evaluate(candidate=30, champion=10, run=run)
    court.evaluate(candidate=30, champion=10)
    with court.ledger.view() as view:
        assert view.looks.count("laundry", 1) == 2
        assert view.looks.count("laundry", 2) == 0
        looks = [row for row in view.audit_log.newest(limit=20) if row.action == "holdout.looked"]
    assert [row.after and row.after["looks"] for row in looks] == [2, 1]
