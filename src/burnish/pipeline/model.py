"""A pipeline run: one execution of the saga for one model; its machine and its record."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from burnish.kernel.ids import JobId, ReleaseId, RunId
from burnish.kernel.machine import advance, ends


class RunState(StrEnum):
    """Where a run is."""

    WAITING = "WAITING"
    COLLECTING = "COLLECTING"
    PREPARING = "PREPARING"
    TRAINING = "TRAINING"
    EVALUATING = "EVALUATING"
    HELD = "HELD"  # the evidence decides nothing yet
    READY_FOR_RELEASE = "READY_FOR_RELEASE"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    RELEASING = "RELEASING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"


class RunEvent(StrEnum):
    """What can happen to a run."""

    COLLECT = "collect"
    REUSE = "reuse"  # the steps up to the report were done by an earlier run
    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    HOLD = "hold"
    READY = "ready"
    AWAIT_APPROVAL = "await approval"
    RELEASE = "release"
    SUCCEED = "succeed"
    FAIL = "fail"
    REJECT = "reject"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"


_STOP: Final = {
    RunEvent.FAIL: RunState.FAILED,
    RunEvent.CANCEL: RunState.CANCELLED,
    RunEvent.SUPERSEDE: RunState.SUPERSEDED,
}

TRANSITIONS: Final[Mapping[RunState, Mapping[RunEvent, RunState]]] = {
    RunState.WAITING: {
        RunEvent.COLLECT: RunState.COLLECTING,
        RunEvent.REUSE: RunState.READY_FOR_RELEASE,
        **_STOP,
    },
    RunState.COLLECTING: {RunEvent.PREPARE: RunState.PREPARING, **_STOP},
    RunState.PREPARING: {RunEvent.TRAIN: RunState.TRAINING, **_STOP},
    RunState.TRAINING: {RunEvent.EVALUATE: RunState.EVALUATING, **_STOP},
    RunState.EVALUATING: {
        RunEvent.READY: RunState.READY_FOR_RELEASE,
        RunEvent.HOLD: RunState.HELD,
        RunEvent.REJECT: RunState.REJECTED,
        **_STOP,
    },
    RunState.HELD: {
        RunEvent.EVALUATE: RunState.EVALUATING,
        RunEvent.REJECT: RunState.REJECTED,
        **_STOP,
    },
    RunState.READY_FOR_RELEASE: {
        RunEvent.AWAIT_APPROVAL: RunState.AWAITING_APPROVAL,
        RunEvent.RELEASE: RunState.RELEASING,
        RunEvent.REJECT: RunState.REJECTED,
        **_STOP,
    },
    RunState.AWAITING_APPROVAL: {
        RunEvent.RELEASE: RunState.RELEASING,
        RunEvent.REJECT: RunState.REJECTED,
        **_STOP,
    },
    RunState.RELEASING: {RunEvent.SUCCEED: RunState.SUCCEEDED, RunEvent.FAIL: RunState.FAILED},
    RunState.SUCCEEDED: {},
    RunState.FAILED: {},
    RunState.REJECTED: {},
    RunState.CANCELLED: {},
    RunState.SUPERSEDED: {},
}

ENDS: Final = ends(TRANSITIONS)

OVERRIDE: Final = "override"  # the rule of a run that an operator sends to release himself


class Cause(Struct, frozen=True, kw_only=True):
    """Why a run was started: the trigger's rule, in its own words."""

    rule: str
    reason: str
    corrections: int


class RunFailure(Struct, frozen=True, kw_only=True):
    """Why a run failed: a stable code and a sentence."""

    code: str
    detail: str


class StepRecord(Struct, frozen=True, kw_only=True):
    """What became of one step of one run."""

    step: str
    state: str  # running, done, failed, undone
    started_at: datetime
    ended_at: datetime | None
    detail: dict[str, Any]


class Run(Struct, frozen=True, kw_only=True):
    """One pass through the loop."""

    id: RunId
    model: str
    state: RunState
    revision: int  # +1 at each change: what If-Match compares
    cause: Cause
    offsets: dict[str, int]  # shard -> first raw-log offset that is not in it
    policy_digest: str
    trace_id: str
    created_at: datetime
    dataset: str | None = None
    job: JobId | None = None
    candidate: str | None = None
    evaluation: str | None = None
    release: ReleaseId | None = None
    failed_step: str | None = None
    failure: RunFailure | None = None
    ended_at: datetime | None = None


def follow(run: Run, event: RunEvent) -> RunState:
    """Return the state that `event` leads to. Raises IllegalTransition."""
    return advance(TRANSITIONS, "run", run.state, event)
