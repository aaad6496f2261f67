"""The durable engine for real: started by a transaction, woken by one, resumed after SIGKILL."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from burnish.adapters.durable import DbosMessenger
from burnish.adapters.sql.engine import make_engine, writing

PROGRAM = Path(__file__).parents[1] / "support" / "saga_process.py"
DEADLINE_S = 90
STEPS = ["collect", "prepare", "train", "evaluate"]


class Bench:
    """A database with the engine's tables, and the file in which effects are counted."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.effects = folder / "effects"
        self.effects.touch()
        self.engine = make_engine(self.url)
        self.messenger = DbosMessenger(self.engine)

    def begin(self, run: str) -> None:
        with writing(self.engine) as connection:
            self.messenger.begin(connection, "train", run)

    def wake(self, run: str, key: str) -> None:
        with writing(self.engine) as connection:
            self.messenger.wake(connection, run, key)

    def lines(self, run: str) -> list[str]:
        words = (line.split() for line in self.effects.read_text().splitlines())
        return [step for name, step in words if name == run]

    @contextmanager
    def process(self, *die_in: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, str(PROGRAM), self.url, str(self.effects), *die_in]
        with subprocess.Popen(command) as process:
            try:
                yield process
            finally:
                process.kill()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.effects.read_text()
            time.sleep(0.02)


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(database, tmp_path)
    yield bench
    bench.messenger.close()
    bench.engine.dispose()


def test_a_run_waits_until_it_is_woken_and_starts_once(bench: Bench) -> None:
    bench.begin("run-1")
    bench.begin("run-1")
    with bench.process():
        bench.wait_until(lambda: bench.lines("run-1") == STEPS[:3])
        bench.wake("run-1", "job:1:SUCCEEDED")
        bench.wake("run-1", "job:1:SUCCEEDED")
        bench.wait_until(lambda: len(bench.lines("run-1")) == 5)
    assert bench.lines("run-1") == ["collect", "prepare", "train", "train", "evaluate"]


@pytest.mark.parametrize("step", ["collect", "train", "evaluate"])
def test_killed_in_a_step_it_resumes_there_and_repeats_no_other(bench: Bench, step: str) -> None:
    bench.begin("run-1")
    bench.wake("run-1", "early")
    with bench.process(step) as first:
        assert first.wait(DEADLINE_S) == -signal.SIGKILL
    with bench.process():
        bench.wait_until(lambda: "evaluate" in bench.lines("run-1")[-1:])
        bench.wait_until(lambda: bench.lines("run-1").count(step) >= 2)
    said = bench.lines("run-1")
    for other in set(STEPS) - {step, "train"}:
        assert said.count(other) == 1
