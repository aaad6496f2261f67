"""Attempts as processes: known by their own word, whoever started them, and stopped by anyone."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from burnish.adapters import subprocess_jobs
from burnish.adapters.subprocess_jobs import SubprocessLauncher
from burnish.training.model import Job
from support.samples import job as queued

PATIENCE_S = 30.0


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """An attempt whose trainer sleeps for as long as it is let."""
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(vars(subprocess_jobs), "MODULES", {"image-classifier": "sleeper"})
    return replace(queued(), attempt=1)


@pytest.fixture
def launcher(tmp_path: Path, attempt: Job) -> Iterator[SubprocessLauncher]:
    made = SubprocessLauncher(tmp_path / "jobs", tmp_path / "cache")
    yield made
    made.stop(attempt)
    until(lambda: not made.is_alive(attempt))


@pytest.fixture
def another(tmp_path: Path) -> SubprocessLauncher:
    """One that has started nothing: as after a restart."""
    return SubprocessLauncher(tmp_path / "jobs", tmp_path / "cache")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def command(launcher: SubprocessLauncher, attempt: Job, folder: Path) -> bytes:
    """Return the program of the process that the attempt has noted."""
    until(lambda: launcher.was_launched(attempt))
    pid = (folder / "jobs" / attempt.id / "1" / "pid").read_text().strip()
    return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]


def test_an_attempt_is_known_to_and_stopped_by_who_did_not_start_it(
    launcher: SubprocessLauncher, another: SubprocessLauncher, attempt: Job
) -> None:
    launcher.launch(attempt, {})
    until(lambda: another.was_launched(attempt))
    assert another.living() == [(attempt.id, 1)]
    another.launch(attempt, {})  # starts no second one
    another.stop(attempt)
    until(lambda: not launcher.is_alive(attempt))
    assert another.living() == []


def test_an_attempt_is_stopped_before_it_has_noted_its_id(
    launcher: SubprocessLauncher, attempt: Job
) -> None:
    launcher.launch(attempt, {})
    launcher.stop(attempt)
    until(lambda: not launcher.is_alive(attempt))


def test_the_process_that_an_attempt_notes_is_the_one_that_trains(
    launcher: SubprocessLauncher, attempt: Job, tmp_path: Path
) -> None:
    launcher.launch(attempt, {})
    until(lambda: command(launcher, attempt, tmp_path) == sys.executable.encode())
