"""Given nothing but this program, when it tells its quick story and chaos kills what it can kill,
then the loop closes and holds, as if nothing had happened."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from burnish.demo.chaos import VICTIMS
from burnish.demo.story import ROUNDS
from support.postgres import Postgres

LONGEST_S = 500  # on two cores that are busy with other tests
SEED = 159  # it reaches uploads, reviewing, persisting, training, judging and releasing
SEEDS = range(10)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(LONGEST_S + 60)]


def tell(folder: Path, *options: str) -> dict[str, Any]:
    """Run the demo and return its numbers."""
    numbers = folder / "demo.json"
    command = [sys.executable, "-m", "burnish", "demo", "--model", "laundry"]
    done = subprocess.run(
        [*command, "--json", str(numbers), *options],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert "synthetic" in said
    found: dict[str, Any] = msgspec.json.decode(numbers.read_bytes())
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one chaotic story came to."""
    return tell(tmp_path_factory.mktemp("demo"), "--chaos", "--seed", str(SEED))


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


def test_every_victim_dies_in_every_round(told: dict[str, Any]) -> None:
    killed = [(kill["round"], kill["role"]) for kill in told["chaos"]["kills"]]
    assert sorted(killed) == sorted(
        (number, role)
        for number in range(ROUNDS + 2)
        for role in VICTIMS  # and the second act
    )
    assert told["chaos"]["seed"] == SEED


def test_every_accepted_record_is_kept_once_and_no_finished_step_runs_again(
    told: dict[str, Any],
) -> None:
    holds(told["proof"])


def holds(proof: dict[str, Any]) -> None:
    assert proof["accepted"] == proof["in_raw_log"] > 500
    assert (proof["missing"], proof["duplicates"], proof["steps_repeated"]) == (0, 0, 0)
    assert proof["steps"] >= 20
    assert proof["faults"] == []


def outcome(told: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what no chaos may change."""
    fields = ("model_version", "corrections", "train_n", "holdout_accuracy", "verdict")
    rounds = [tuple(turn[field] for field in fields) for turn in told["rounds"]]
    refused, rollback = told["refused"], told["rollback"]
    gates = tuple((gate["gate"], gate["verdict"]) for gate in refused["gates"])
    act = (refused["model_version"], refused["verdict"], refused["holdout_accuracy"], gates)
    return [*rounds, act, (rollback["cause"], rollback["from"], rollback["to"])]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """What the story comes to when nothing is killed."""
    return outcome(tell(tmp_path_factory.mktemp("calm")))


@pytest.fixture(params=["sqlite", "postgresql"])
def options(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """The options that name an empty database of a kind."""
    if request.param == "sqlite":
        yield ()
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield "--database", server.url(name)
    server.drop(name)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
def test_chaos_changes_no_outcome(
    tmp_path: Path,
    calm: list[tuple[Any, ...]],
    options: tuple[str, ...],
    seed: int,
) -> None:
    told = tell(tmp_path, "--chaos", "--seed", str(seed), *options)
    assert outcome(told) == calm
    assert told["serving"]["failed"] == 0
    holds(told["proof"])
