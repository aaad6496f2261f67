"""Given a story that was told, when its numbers are written down, then as promised."""

import msgspec
import pytest

from burnish.demo.album import Album, Pace
from burnish.demo.answers import ServingSummary
from burnish.demo.policy import policy
from burnish.demo.result import (
    ChaosSummary,
    Gate,
    Kill,
    Proof,
    Refused,
    Result,
    Rollback,
    Round,
    Swap,
)
from burnish.kernel.policy import Approval, parse_policy


def turn(number: int, *, promoted: bool = True) -> Round:
    return Round(
        round=number,
        model_version=f"1.{number}.0",
        dataset=f"solar@{number + 1}",
        corrections=40,
        train_n=400,
        holdout_accuracy=0.8,
        holdout_n=500,
        verdict="PASS" if promoted else "INCONCLUSIVE",
        train_seconds=4.0,
        loop_seconds=9.0 if promoted else None,
        promoted=promoted,
    )


@pytest.fixture
def result() -> Result:
    return Result(
        rounds=[turn(0), turn(1), turn(2, promoted=False)],
        serving=ServingSummary(
            requests=900, failed=0, mixed=0, p50_ms=9, p99_ms=20, p99_swap_ms=22
        ),
        swaps=[Swap(source="1.0.0", target="1.1.0", swap_us=3.0, ready_seconds=0.4)],
        wall_seconds=60,
        refused=Refused(
            run="r4",
            model_version="1.3.0",
            verdict="FAIL",
            holdout_accuracy=0.5,
            champion_accuracy=0.8,
            gates=[Gate(gate="better", verdict="FAIL", value=0.0, threshold=0.9)],
            report="e4",
        ),
        rollback=Rollback(
            cause="live_accuracy", seconds=0.1, failed=0, source="1.3.0", target="1.1.0"
        ),
    )


def test_the_json_has_exactly_the_promised_fields(result: Result) -> None:
    document = msgspec.json.decode(msgspec.json.encode(result.document()))
    assert list(document) == [
        "rounds",
        "serving",
        "swaps",
        "refused",
        "rollback",
        "proof",
        "chaos",
        "wall_seconds",
    ]
    assert list(document["rounds"][0]) == [
        "round",
        "model_version",
        "dataset",
        "corrections",
        "train_n",
        "holdout_accuracy",
        "holdout_n",
        "verdict",
        "train_seconds",
        "loop_seconds",
    ]
    assert list(document["serving"]) == [
        "requests",
        "failed",
        "mixed",
        "p50_ms",
        "p99_ms",
        "p99_swap_ms",
    ]
    assert list(document["swaps"][0]) == ["from", "to", "swap_us", "ready_seconds"]
    assert list(document["rollback"])[:5] == ["cause", "seconds", "failed", "from", "to"]
    assert document["refused"]["gates"][0]["gate"] == "better"
    assert document["chaos"] is None


def test_the_json_tells_when_chaos_struck_since_the_story_began(result: Result) -> None:
    kill = Kill(at=1012.345, round=1, role="worker", phase="training", pid=77)
    chaos = ChaosSummary(seed=5, began=1000.0, kills=[kill])
    document = msgspec.structs.replace(result, chaos=chaos).document()
    assert document["chaos"] == {
        "seed": 5,
        "kills": [{"at": 12.35, "round": 1, "role": "worker", "phase": "training"}],
    }


def test_what_could_not_be_proven_is_a_fault(result: Result) -> None:
    proof = Proof(
        accepted=2,
        in_raw_log=1,
        missing=1,
        duplicates=0,
        steps=5,
        steps_repeated=0,
        faults=["1 accepted records are not in the raw log: s a."],
    )
    assert msgspec.structs.replace(result, proof=proof).faults == proof.faults


def test_a_round_that_was_not_promoted_is_no_fault_while_another_was(result: Result) -> None:
    assert result.faults == []


def test_a_story_whose_rounds_promoted_nothing_is_a_fault(result: Result) -> None:
    only_the_first = msgspec.structs.replace(result, rounds=[turn(0), turn(1, promoted=False)])
    assert only_the_first.faults == ["No round's model was promoted."]


@pytest.mark.parametrize("name", ["failed", "mixed"])
def test_one_bad_answer_is_a_fault(result: Result, name: str) -> None:
    serving = msgspec.structs.replace(result.serving, **{name: 1})
    assert len(msgspec.structs.replace(result, serving=serving).faults) == 1


@pytest.mark.parametrize("name", ["refused", "rollback"])
def test_a_bad_candidate_that_gets_through_is_a_fault(result: Result, name: str) -> None:
    assert len(msgspec.structs.replace(result, **{name: None}).faults) == 1


def test_the_policy_of_the_demo_is_one_that_the_platform_takes() -> None:
    album = Album(
        model="solar",
        title="",
        opening="",
        labels=("good", "defect"),
        pace=Pace(arrivals=300, looks=200, more=60, min_corrections=25, p_better=0.9),
        cast=(),
        first=(),
        holdout=(),
        stream=(),
        passers=(),
    )
    read = parse_policy(policy(album))
    assert read.name == "solar"
    assert read.labels == ("good", "defect")
    assert read.dataset.holdout_source == "solar-holdout"
    assert read.release.approval is Approval.AUTO
    assert (read.gates.validation, read.gates.holdout, read.gates.per_class) == (0, 0, 0)
    assert (read.trigger.min_corrections, read.gates.p_better) == (25, 0.9)
    assert (read.trigger.paused, read.monitor.rollback) == (False, 0.65)
    later = parse_policy(policy(album, rollback=0.75, paused=True))
    assert (later.trigger.paused, later.monitor.alert, later.monitor.rollback) == (True, 0.8, 0.75)
    assert read.monitor.rollback == 0.65
