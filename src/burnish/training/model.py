"""A training job: one request to train, with some attempts; each calls back with its own token."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from burnish.kernel.ids import JobId, RunId
from burnish.kernel.machine import advance


class JobState(StrEnum):
    """Where a job is in its life."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class JobEvent(StrEnum):
    """What can happen to a job."""

    QUEUE = "queue"
    START = "start"
    SUCCEED = "succeed"
    RETRY = "retry"  # an attempt failed and another remains
    FAIL = "fail"  # none remains
    CANCEL = "cancel"


TRANSITIONS: Final[Mapping[JobState, Mapping[JobEvent, JobState]]] = {
    JobState.PENDING: {
        JobEvent.QUEUE: JobState.QUEUED,
        JobEvent.FAIL: JobState.FAILED,
        JobEvent.CANCEL: JobState.CANCELLED,
    },
    JobState.QUEUED: {
        JobEvent.START: JobState.RUNNING,
        JobEvent.FAIL: JobState.FAILED,
        JobEvent.CANCEL: JobState.CANCELLED,
    },
    JobState.RUNNING: {
        JobEvent.SUCCEED: JobState.SUCCEEDED,
        JobEvent.RETRY: JobState.QUEUED,
        JobEvent.FAIL: JobState.FAILED,
        JobEvent.CANCEL: JobState.CANCELLED,
    },
    JobState.SUCCEEDED: {},
    JobState.FAILED: {},
    JobState.CANCELLED: {},
}


class Failure(Struct, frozen=True, kw_only=True):
    """Why an attempt failed: a stable code and a sentence."""

    code: str
    message: str


class Artifact(Struct, frozen=True, kw_only=True):
    """A file that an attempt has produced."""

    name: str
    sha256: str
    bytes: int


class Job(Struct, frozen=True, kw_only=True):
    """One training job, with the state of its current attempt."""

    id: JobId
    run: RunId | None
    model: str
    dataset: str
    trainer: str
    hyperparameters: dict[str, Any]
    state: JobState
    attempt: int  # 1 is the first; 0 before it
    max_attempts: int
    trace_id: str
    queued_at: datetime
    sequence: int = 0  # of the attempt's last callback
    progress: float = 0.0  # of the attempt, 0 to 1
    metrics: dict[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    completed_at: datetime | None = None


class Heartbeat(Struct, frozen=True, kw_only=True):
    """A trainer's sign of life."""

    sequence: int
    progress: float = 0.0
    epoch: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    message: str = ""


class TrainerEvent(Struct, frozen=True, kw_only=True):
    """Something that a trainer wants known, such as epoch_end or checkpoint_saved."""

    sequence: int
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)


class Outcome(StrEnum):
    """How an attempt ended, in its own words."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Done(Struct, frozen=True, kw_only=True):
    """A trainer's last word."""

    sequence: int
    outcome: Outcome
    failure: Failure | None = None
    artifacts: tuple[Artifact, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)


def follow(job: Job, event: JobEvent) -> JobState:
    """Return the state that `event` leads to. Raises IllegalTransition."""
    return advance(TRANSITIONS, "training job", job.state, event)


def after_failure(job: Job) -> JobEvent:
    """Return what a failed attempt means for its job."""
    return JobEvent.RETRY if job.attempt < job.max_attempts else JobEvent.FAIL


def is_silent(job: Job, now: datetime, limit: timedelta) -> bool:
    """Tell whether a running job has said nothing for longer than `limit`."""
    last = job.heartbeat_at or job.started_at
    return job.state is JobState.RUNNING and last is not None and now - last > limit
