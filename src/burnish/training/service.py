"""Use cases on training jobs: submission, attempts, callbacks, loss, cancellation."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.auth import TokenEnded
from burnish.kernel.ids import JobId, RunId
from burnish.training.model import (
    TRANSITIONS,
    Done,
    Failure,
    Heartbeat,
    Job,
    JobEvent,
    JobState,
    Outcome,
    TrainerEvent,
    after_failure,
    follow,
)
from burnish.training.ports import JobUnit


def submit(
    unit: JobUnit,
    *,
    id_: JobId,
    run: RunId,
    model: str,
    dataset: str,
    trainer: str,
    hyperparameters: dict[str, Any],
    max_retries: int,
    trace_id: str,
    now: datetime,
) -> Job:
    """Ask for a training; the same run asks once."""
    with unit:
        job = unit.jobs.add(
            Job(
                id=id_,
                run=run,
                model=model,
                dataset=dataset,
                trainer=trainer,
                hyperparameters=hyperparameters,
                state=JobState.PENDING,
                attempt=0,
                max_attempts=1 + max_retries,
                trace_id=trace_id,
                queued_at=now,
            )
        )
        if job.state is JobState.PENDING:
            job = _move(unit, job, JobEvent.QUEUE)
        unit.commit()
    return job


def start_attempt(unit: JobUnit, id_: JobId, *, now: datetime) -> Job:
    """Begin the next attempt of a queued job. Raises IllegalTransition."""
    with unit:
        job = unit.jobs.get(id_)
        fresh = replace(
            job,
            attempt=job.attempt + 1,
            sequence=0,
            progress=0.0,
            failure=None,
            started_at=now,
            heartbeat_at=None,
        )
        job = _move(unit, fresh, JobEvent.START)
        unit.commit()
    return job


def heartbeat(
    unit: JobUnit, id_: JobId, attempt: int, beat: Heartbeat, *, now: datetime
) -> JobState:
    """Note a sign of life and return the job's state. Raises TokenEnded."""
    with unit:
        job = _current(unit, id_, attempt)
        if beat.sequence > job.sequence:
            metrics = {**job.metrics, **beat.metrics}
            unit.jobs.save(
                replace(
                    job,
                    sequence=beat.sequence,
                    progress=beat.progress,
                    metrics=metrics,
                    heartbeat_at=now,
                )
            )
            unit.outbox.publish(
                "TrainingProgress",
                job.model,
                job.id,
                {"progress": beat.progress, "message": beat.message, "metrics": beat.metrics},
            )
            unit.commit()
    return job.state


def note(
    unit: JobUnit, id_: JobId, attempt: int, event: TrainerEvent, *, now: datetime
) -> JobState:
    """Note a trainer's event and return the job's state. Raises TokenEnded."""
    with unit:
        job = _current(unit, id_, attempt)
        if event.sequence > job.sequence:
            unit.jobs.save(replace(job, sequence=event.sequence, heartbeat_at=now))
            data = {"kind": event.kind, "detail": event.detail}
            unit.outbox.publish("TrainingEvent", job.model, job.id, data)
            unit.commit()
    return job.state


def done(unit: JobUnit, id_: JobId, attempt: int, word: Done, *, now: datetime) -> JobState:
    """Take a trainer's last word and return the job's state; said twice it changes nothing.

    Raises TokenEnded if the attempt was over before.
    """
    with unit:
        job = unit.jobs.get(id_)
        if attempt == job.attempt and word.sequence == job.sequence:
            return job.state
        job = _current(unit, id_, attempt)
        job = replace(job, sequence=word.sequence, metrics=word.metrics, details=word.details)
        if word.outcome is Outcome.SUCCEEDED:
            job = replace(job, artifacts=word.artifacts, progress=1.0, completed_at=now)
            job = _move(unit, job, JobEvent.SUCCEED)
        else:
            failure = word.failure or Failure(code="failed", message="The trainer gave no reason.")
            job = _attempt_failed(unit, job, failure, now)
        unit.commit()
    return job.state


def attempt_lost(
    unit: JobUnit, id_: JobId, attempt: int, failure: Failure, *, now: datetime
) -> Job:
    """Give up an attempt that died or fell silent; if it is over already, nothing changes."""
    with unit:
        job = unit.jobs.get(id_)
        if job.state is JobState.RUNNING and job.attempt == attempt:
            job = _attempt_failed(unit, job, failure, now)
            unit.commit()
    return job


def cancel(unit: JobUnit, id_: JobId, *, actor: Actor, reason: str, now: datetime) -> Job:
    """End a job for good. Raises IllegalTransition if it has ended."""
    with unit:
        job = replace(unit.jobs.get(id_), completed_at=now)
        job = _move(unit, job, JobEvent.CANCEL, actor, reason)
        unit.commit()
    return job


def _current(unit: JobUnit, id_: JobId, attempt: int) -> Job:
    job = unit.jobs.get(id_)
    if job.attempt != attempt or job.state is not JobState.RUNNING:
        raise TokenEnded(
            f"Attempt {attempt} of job {id_} is over (the job is {job.state}, "
            f"attempt {job.attempt}): stop.",
            job=id_,
            attempt=attempt,
            state=job.state.value,
        )
    return job


def _attempt_failed(unit: JobUnit, job: Job, failure: Failure, now: datetime) -> Job:
    event = after_failure(job)
    job = replace(job, failure=failure, completed_at=now if event is JobEvent.FAIL else None)
    return _move(unit, job, event, reason=failure.message)


_PUBLISHED = {
    JobState.SUCCEEDED: "TrainingCompleted",
    JobState.FAILED: "TrainingFailed",
    JobState.CANCELLED: "TrainingCancelled",
}


def _move(unit: JobUnit, job: Job, event: JobEvent, actor: Actor = SYSTEM, reason: str = "") -> Job:
    moved = replace(job, state=follow(job, event))
    unit.jobs.save(moved)
    unit.audit.record(
        actor,
        f"job.{event}",
        f"job:{job.id}",
        before={"state": job.state},
        after={"state": moved.state, "attempt": moved.attempt},
        reason=reason,
    )
    if moved.state in _PUBLISHED:
        data = {"attempt": moved.attempt, "metrics": moved.metrics, "reason": reason}
        unit.outbox.publish(_PUBLISHED[moved.state], job.model, job.id, data)
    if job.run is not None and (not TRANSITIONS[moved.state] or event is JobEvent.RETRY):
        unit.signals.wake(job.run, f"{job.id}:{moved.attempt}:{moved.state}")
    return moved
