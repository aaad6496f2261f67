"""Given nothing but this program, when it tells its quick story, then the loop closes and holds."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

LONGEST_S = 400  # on two cores that are busy with other tests

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(LONGEST_S + 60)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the demo once and return its numbers."""
    numbers = tmp_path_factory.mktemp("demo") / "demo.json"
    command = [sys.executable, "-m", "burnish", "demo", "--model", "laundry", "--json", numbers]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert "synthetic" in said
    return read(numbers)


def read(numbers: Path) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(numbers.read_bytes())
    return found


def test_every_round_is_judged_on_the_same_photos(told: dict[str, Any]) -> None:
    rounds = told["rounds"]
    assert len(rounds) > 3  # the first model and at least three rounds of corrections
    assert all(turn["verdict"] in {"PASS", "FAIL", "INCONCLUSIVE"} for turn in rounds)
    assert len({turn["holdout_n"] for turn in rounds}) == 1
    assert all(turn["corrections"] > 0 for turn in rounds[1:])


def test_corrections_make_the_model_better(told: dict[str, Any]) -> None:
    first, *_, last = [turn["holdout_accuracy"] for turn in told["rounds"]]
    assert last > first


def test_no_request_fails_and_no_answer_is_of_two_releases(told: dict[str, Any]) -> None:
    serving = told["serving"]
    assert serving["requests"] > 500
    assert (serving["failed"], serving["mixed"]) == (0, 0)


def test_every_swap_is_the_move_of_a_pointer(told: dict[str, Any]) -> None:
    swaps = told["swaps"]
    assert len(swaps) > 1
    assert all(swap["swap_us"] < 1000 for swap in swaps)


def test_a_candidate_that_learnt_from_shuffled_labels_is_refused(told: dict[str, Any]) -> None:
    refused = told["refused"]
    assert refused["verdict"] == "FAIL"
    assert refused["holdout_accuracy"] < refused["champion_accuracy"]
    assert any(gate["verdict"] == "FAIL" and gate["reason"] for gate in refused["gates"])


def test_forced_into_production_it_is_taken_back_without_a_failed_request(
    told: dict[str, Any],
) -> None:
    rollback = told["rollback"]
    assert rollback["cause"] == "live_accuracy"
    assert rollback["from"] == told["refused"]["model_version"]
    assert rollback["to"] == told["rounds"][-1]["model_version"]
    assert rollback["failed"] == 0
