"""Contract of `training.ports.JobStore`, and of callbacks that race."""

from collections.abc import Callable
from datetime import datetime

import pytest
from msgspec.structs import replace

from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.audit import SYSTEM
from burnish.kernel.auth import TokenEnded
from burnish.kernel.errors import BurnishError, IllegalTransition, NotFound
from burnish.kernel.ids import JobId, RunId
from burnish.training import service
from burnish.training.model import (
    Artifact,
    Done,
    Failure,
    Heartbeat,
    Job,
    JobState,
    Outcome,
    TrainerEvent,
)
from support.concurrency import at_once
from support.databases import saved
from support.samples import NOON, job, later

Units = Callable[..., SqlUnit]


def running(unit: Units) -> Job:
    with saved(unit()) as stores:
        added = stores.jobs.add(job())  # of no run: nobody to wake
    return service.start_attempt(unit(), added.id, now=NOON)


def actions(unit: Units) -> list[str]:
    with unit(reads_only=True) as stores:
        return [entry.action for entry in reversed(stores.audit_log.newest(limit=50))]


def test_a_job_is_found_as_it_was_added(unit: Units) -> None:
    one = job("run-1")
    full = job(
        "run-2",
        progress=0.5,
        metrics={"accuracy": 0.91},
        artifacts=(Artifact(name="model.onnx", sha256="sha256:0", bytes=5 << 32),),
        details={"classes": ["good"]},
        failure=Failure(code="exited", message="It fell — over."),
        started_at=later(1),
        heartbeat_at=later(2),
        completed_at=later(3),
        queued_at=later(1),
        model="other",
    )
    with saved(unit()) as stores:
        assert [stores.jobs.add(one), stores.jobs.add(full)] == [one, full]
    with unit(reads_only=True) as stores:
        assert [stores.jobs.get(one.id), stores.jobs.get(full.id)] == [one, full]
        assert stores.jobs.of_run(RunId("run-2")) == full
        assert stores.jobs.of_run(RunId("none")) is None
        assert stores.jobs.newest() == [full, one]
        assert stores.jobs.newest("laundry") == [one]
        assert stores.jobs.newest(limit=1) == [full]
        with pytest.raises(NotFound):
            stores.jobs.get(JobId("none"))


def test_a_run_asks_for_one_job(unit: Units) -> None:
    with saved(unit()) as stores:
        first = stores.jobs.add(job("run-1"))
        assert stores.jobs.add(job("run-1")) == first
        assert stores.jobs.add(job(None)) != stores.jobs.add(job(None))


def test_a_run_that_asks_at_once_gets_the_same_job(unit: Units) -> None:
    def submit(_: int) -> JobId:
        return service.submit(
            unit(),
            id_=job().id,
            run=RunId("run-1"),
            model="laundry",
            dataset="laundry@1",
            trainer="image-classifier",
            hyperparameters={},
            max_retries=2,
            trace_id="",
            now=NOON,
        ).id

    ids, errors = at_once(submit)
    assert errors == []
    assert len(set(ids)) == 1
    assert actions(unit) == ["job.queue"]


def test_only_jobs_with_an_attempt_under_way_are_running(unit: Units) -> None:
    started = running(unit)
    with saved(unit()) as stores:
        stores.jobs.add(job())
        stores.jobs.save(replace(started, progress=0.25))
    with unit(reads_only=True) as stores:
        assert stores.jobs.running() == [replace(started, progress=0.25)]


def test_no_heartbeat_undoes_what_a_last_word_has_done(unit: Units) -> None:
    started = running(unit)

    def call_back(number: int) -> JobState:
        if number == 4:
            word = Done(sequence=100, outcome=Outcome.SUCCEEDED, metrics={"accuracy": 0.9})
            return service.done(unit(), started.id, 1, word, now=later(1))
        beat = Heartbeat(sequence=number + 1, progress=number / 10, metrics={f"m{number}": 1})
        return service.heartbeat(unit(), started.id, 1, beat, now=later(1))

    _, errors = at_once(call_back)
    assert {type(error) for error in errors} <= {TokenEnded}
    with unit() as stores:
        ended = stores.jobs.get(started.id)
    assert (ended.state, ended.sequence, ended.progress) == (JobState.SUCCEEDED, 100, 1.0)
    assert ended.metrics == {"accuracy": 0.9}


def test_signs_of_life_at_once_lose_none_that_came_in_order(unit: Units) -> None:
    started = running(unit)

    def call_back(number: int) -> JobState:
        if number % 2:
            event = TrainerEvent(sequence=number + 1, kind="epoch_end")
            return service.note(unit(), started.id, 1, event, now=later(1))
        beat = Heartbeat(sequence=number + 1, metrics={f"m{number}": number})
        return service.heartbeat(unit(), started.id, 1, beat, now=later(1))

    _, errors = at_once(call_back)
    assert errors == []
    with unit(reads_only=True) as stores:
        ended, events = stores.jobs.get(started.id), stores.events.after(0, limit=50)
    assert ended.sequence == 8
    told: dict[str, int] = {}  # what a reader who follows the events has been told
    for event in events:
        told |= event.data.get("metrics", {})
    assert ended.metrics == told


@pytest.mark.parametrize("now", [NOON, later(1)])
def test_an_attempt_ends_once_whoever_says_so(unit: Units, now: datetime) -> None:
    started = running(unit)
    failure = Failure(code="exited", message="The trainer ended without a last word.")

    def end(number: int) -> object:
        match number % 4:
            case 0:
                word = Done(sequence=7, outcome=Outcome.SUCCEEDED)
                return service.done(unit(), started.id, 1, word, now=now)
            case 1:
                word = Done(sequence=8, outcome=Outcome.FAILED, failure=failure)
                return service.done(unit(), started.id, 1, word, now=now)
            case 2:
                return service.attempt_lost(unit(), started.id, 1, failure, now=now)
            case _:
                return service.cancel(unit(), started.id, actor=SYSTEM, reason="enough", now=now)

    _, errors = at_once(end)
    assert all(isinstance(error, BurnishError) for error in errors), errors
    said = actions(unit)
    assert said[0] == "job.start"
    # A retry leaves the job queued, which a person may still cancel; nothing else follows an end.
    assert said[1:] in (["job.succeed"], ["job.cancel"], ["job.retry"], ["job.retry", "job.cancel"])


def test_of_attempts_started_at_once_exactly_one_begins(unit: Units) -> None:
    with saved(unit()) as stores:
        queued = stores.jobs.add(job())
    started, errors = at_once(lambda _: service.start_attempt(unit(), queued.id, now=NOON))
    assert [one.attempt for one in started] == [1]
    assert {type(error) for error in errors} == {IllegalTransition}
