"""Given a seed, when chaos goes through a round, then every victim dies once, at drawn moments."""

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from burnish.demo.chaos import FIRST, ROUND, SEEDS, VICTIMS, Chaos, plan
from burnish.demo.processes import kill_role
from burnish.demo.screen import Screen

DEADLINE_S = 20.0
QUICK = {"training": 0.01, "judging": 0.01}

seeds = st.integers(0, SEEDS - 1)
numbers = st.integers(0, 20)
rounds = st.sampled_from((FIRST, ROUND))


@given(seed=seeds, number=numbers, phases=rounds)
def test_every_victim_dies_once_within_a_phase(
    seed: int, number: int, phases: dict[str, float]
) -> None:
    strikes = plan(seed, number, phases)
    assert sorted(strike.role for strike in strikes) == sorted(VICTIMS)
    assert all(0 <= strike.delay < phases[strike.phase] for strike in strikes)


@given(seed=seeds, number=numbers, phases=rounds)
def test_the_same_seed_makes_the_same_plan(
    seed: int, number: int, phases: dict[str, float]
) -> None:
    assert plan(seed, number, phases) == plan(seed, number, phases)


def test_other_seeds_and_other_rounds_make_other_plans() -> None:
    plans = {plan(seed, number, ROUND) for seed in range(10) for number in range(4)}
    assert len(plans) == 40


def test_ten_seeds_reach_every_victim_in_every_phase_of_a_round() -> None:
    reached = {
        (strike.role, strike.phase)
        for seed in range(10)
        for number in (1, 2, 3)
        for strike in plan(seed, number, ROUND)
    }
    assert len(reached) >= 0.9 * len(VICTIMS) * len(ROUND)


class Stage:
    """A screen that nobody sees, and who was killed on it."""

    def __init__(self, *, away: int = 0) -> None:
        self.text = io.StringIO()
        self.screen = Screen(Console(file=self.text, width=100))
        self.killed: list[str] = []
        self.away = away  # how often a role is not there when it is to be killed

    def kill(self, role: str) -> int | None:
        if self.away > 0:
            self.away -= 1
            return None
        self.killed.append(role)
        return 1000 + len(self.killed)

    def play(self, phase: str, *, until_killed: int) -> None:
        with self.screen.phase(phase):
            deadline = time.monotonic() + DEADLINE_S
            while len(self.killed) < until_killed and time.monotonic() < deadline:
                time.sleep(0.005)


def test_strikes_fall_in_their_phases_and_are_noted_and_told() -> None:
    stage = Stage()
    chaos = Chaos(3, kill=stage.kill, screen=stage.screen)
    strikes = plan(3, 1, QUICK)
    began = time.monotonic()
    with chaos.round(1, QUICK):
        for count, phase in enumerate(QUICK, start=1):
            so_far = list(QUICK)[:count]
            stage.play(phase, until_killed=sum(one.phase in so_far for one in strikes))
    assert {(kill.role, kill.phase) for kill in chaos.kills} == {
        (strike.role, strike.phase) for strike in strikes
    }
    assert all(began < kill.at < time.monotonic() and kill.round == 1 for kill in chaos.kills)
    assert {kill.pid for kill in chaos.kills} == {1001, 1002, 1003}
    for kill in chaos.kills:
        assert f"✗ {kill.role} killed while {kill.phase}" in stage.text.getvalue()


def test_whoever_lives_when_the_round_ends_dies_then() -> None:
    stage = Stage()
    chaos = Chaos(3, kill=stage.kill, screen=stage.screen)
    with chaos.round(1, {"training": 600.0, "a phase that never comes": 600.0}):
        with stage.screen.phase("training"):
            pass
        assert stage.killed == []
    assert sorted(stage.killed) == sorted(VICTIMS)
    assert len(chaos.kills) == len(VICTIMS)


def test_a_role_that_is_away_is_waited_for() -> None:
    stage = Stage(away=3)
    chaos = Chaos(3, kill=stage.kill, screen=stage.screen)
    with chaos.round(1, QUICK):
        pass
    assert sorted(stage.killed) == sorted(VICTIMS)


def test_without_a_seed_nobody_dies() -> None:
    stage = Stage()
    chaos = Chaos(None, kill=stage.kill, screen=stage.screen)
    with chaos.round(1, QUICK), stage.screen.phase("training"):
        pass
    assert (stage.killed, chaos.kills) == ([], [])


def test_a_round_that_fails_kills_nobody_any_more() -> None:
    stage = Stage()
    chaos = Chaos(3, kill=stage.kill, screen=stage.screen)
    with pytest.raises(ValueError, match="no model"), chaos.round(1, QUICK):
        raise ValueError("no model")
    assert stage.killed == []


SUPERVISOR = """
import subprocess, sys
words = [sys.executable, "-c", "import time; time.sleep(600)", "-m", "burnish"]
children = [subprocess.Popen([*words, role]) for role in ("worker", "serve")]
print(*(child.pid for child in children), flush=True)
for child in children:
    print(child.wait(), flush=True)
"""


@pytest.fixture
def supervisor() -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A process with two children that look like roles, and their pids."""
    command = [sys.executable, "-c", SUPERVISOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker, serve = map(int, process.stdout.readline().split())
        pids = {"worker": worker, "serve": serve}
        while not all(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids.values()):
            time.sleep(0.01)  # a process has no words yet in the midst of its start
        yield process, pids
        for role in pids:
            kill_role(process.pid, role)


def test_a_role_is_killed_by_who_started_it(
    supervisor: tuple[subprocess.Popen[str], dict[str, int]],
) -> None:
    process, pids = supervisor
    assert kill_role(process.pid, "ingest") is None
    assert kill_role(process.pid, "worker") == pids["worker"]
    assert process.stdout is not None
    assert process.stdout.readline() == "-9\n"
    assert kill_role(process.pid, "worker") is None
    assert process.poll() is None


def test_a_role_of_another_supervisor_is_left_alone(
    supervisor: tuple[subprocess.Popen[str], dict[str, int]],
) -> None:
    _, pids = supervisor
    assert kill_role(pids["serve"], "worker") is None
