"""Contract of the durable engine: what it is told leaves with the commit, and only then."""

import time
from collections.abc import Callable, Iterator
from threading import Condition

import pytest
from sqlalchemy import Engine

from burnish.adapters.durable import DbosEngine, JsonSerializer
from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.ids import RunId
from burnish.pipeline.saga import Progress, Step
from support.databases import saved

Units = Callable[..., SqlUnit]
DEADLINE_S = 30.0


class Performer:
    """Notes each call; a run waits at `train` until it is told not to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.waits = True
        self._changed = Condition()

    def perform(self, step: Step, run: RunId) -> Progress:
        with self._changed:
            self.calls.append((step.name, run))
            self._changed.notify_all()
        return Progress.WAIT if step.name == "train" and self.waits else Progress.DONE

    def wait_for(self, step: str, run: str, times: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while self.calls.count((step, run)) < times:
                assert self._changed.wait(deadline - time.monotonic()), self.calls


@pytest.fixture
def performer(engine: Engine, unit: Units) -> Iterator[Performer]:
    made = Performer()
    running = DbosEngine(engine, executor="worker-0", concurrency=4, performer=made)
    running.launch()
    yield made
    made.waits = False
    for run in {run for step, run in made.calls if step == "train"}:
        with saved(unit()) as stores:
            stores.signals.wake(run, "the end")
        made.wait_for("evaluate", run)
    running.close(1)


def test_what_the_engine_is_told_leaves_with_the_commit(unit: Units, performer: Performer) -> None:
    # Given a run that was begun in a transaction that was undone, and one in one that was not
    with unit() as stores:
        stores.starter.begin("train", "undone")
    with saved(unit()) as stores:
        stores.starter.begin("train", "kept")
    performer.wait_for("train", "kept")

    # When it is woken by a transaction that is undone, nothing happens before another's whole half
    with unit() as stores:
        stores.signals.wake("kept", "job:1:undone")
    with saved(unit()) as stores:
        stores.starter.begin("release", "later")
    performer.wait_for("release", "later")
    assert performer.calls.count(("train", "kept")) == 1

    # When it is woken by one that is committed, it looks again long before its patience ends
    performer.waits = False
    with saved(unit()) as stores:
        stores.signals.wake("kept", "job:1:SUCCEEDED")
    performer.wait_for("evaluate", "kept")
    assert performer.calls.count(("train", "kept")) == 2
    assert "undone" not in {run for _, run in performer.calls}


def test_a_half_that_is_begun_twice_runs_once(unit: Units, performer: Performer) -> None:
    performer.waits = False
    for _ in range(2):
        with saved(unit()) as stores:
            stores.starter.begin("train", "twice")
    with saved(unit()) as stores:
        stores.starter.begin("release", "twice")
    performer.wait_for("evaluate", "twice")
    performer.wait_for("release", "twice")
    assert performer.calls.count(("collect", "twice")) == 1


def test_an_error_that_nobody_caught_is_kept_in_words() -> None:
    kept = JsonSerializer().serialize({"error": ValueError("no such thing")})
    error = JsonSerializer().deserialize(kept)["error"]
    assert isinstance(error, Exception)
    assert str(error) == "ValueError: no such thing"


def test_the_same_wake_up_said_twice_wakes_once(unit: Units, performer: Performer) -> None:
    with saved(unit()) as stores:
        stores.starter.begin("train", "sleepy")
    performer.wait_for("train", "sleepy")
    for key in ("again", "again", "once more"):
        with saved(unit()) as stores:
            stores.signals.wake("sleepy", key)
    performer.wait_for("train", "sleepy", times=3)
    with saved(unit()) as stores:
        stores.starter.begin("release", "later")
    performer.wait_for("release", "later")
    assert performer.calls.count(("train", "sleepy")) == 3
