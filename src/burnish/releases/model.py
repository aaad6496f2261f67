"""A release: what serving loads as one unit. Its machine, its history, its versions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from burnish.kernel.errors import Conflict, InvalidInput, Stale
from burnish.kernel.ids import ReleaseId, RunId
from burnish.kernel.machine import advance


class StaleGeneration(Stale):
    """Another promotion or rollback came first."""


class NothingToRollBackTo(Conflict):
    """No retained release precedes the active one."""

    code = "release.no_predecessor"


class ReleaseState(StrEnum):
    """Where a release is in its life."""

    READY = "READY"
    INDEXING = "INDEXING"
    CANARY = "CANARY"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"
    WITHDRAWN = "WITHDRAWN"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"


class ReleaseEvent(StrEnum):
    """What can happen to a release."""

    INDEX = "index"
    START_CANARY = "start canary"
    PROMOTE = "promote"
    RETIRE = "retire"  # another was promoted; kept for rollback
    WITHDRAW = "withdraw"  # rolled back: never served again
    REJECT = "reject"
    FAIL = "fail"
    SUPERSEDE = "supersede"


class RollbackCause(StrEnum):
    """Who found that a release must go."""

    OPERATOR = "operator"
    LIVE_ACCURACY = "live_accuracy"


_LEAVE: Final = {
    ReleaseEvent.REJECT: ReleaseState.REJECTED,
    ReleaseEvent.FAIL: ReleaseState.FAILED,
    ReleaseEvent.SUPERSEDE: ReleaseState.SUPERSEDED,
}

TRANSITIONS: Final[Mapping[ReleaseState, Mapping[ReleaseEvent, ReleaseState]]] = {
    ReleaseState.READY: {
        ReleaseEvent.INDEX: ReleaseState.INDEXING,
        ReleaseEvent.START_CANARY: ReleaseState.CANARY,
        ReleaseEvent.PROMOTE: ReleaseState.ACTIVE,
        **_LEAVE,
    },
    ReleaseState.INDEXING: {ReleaseEvent.START_CANARY: ReleaseState.CANARY, **_LEAVE},
    ReleaseState.CANARY: {ReleaseEvent.PROMOTE: ReleaseState.ACTIVE, **_LEAVE},
    ReleaseState.ACTIVE: {
        ReleaseEvent.RETIRE: ReleaseState.RETIRED,
        ReleaseEvent.WITHDRAW: ReleaseState.WITHDRAWN,
    },
    ReleaseState.RETIRED: {ReleaseEvent.PROMOTE: ReleaseState.ACTIVE},  # a rollback
    ReleaseState.WITHDRAWN: {},
    ReleaseState.REJECTED: {},
    ReleaseState.FAILED: {},
    ReleaseState.SUPERSEDED: {},
}


class Release(Struct, frozen=True, kw_only=True):
    """One release of one model."""

    id: ReleaseId
    model: str
    model_version: str
    state: ReleaseState
    generation: int | None  # fencing token of its last promotion: +1 at each, never reused
    run: RunId | None
    previous: ReleaseId | None  # active when this one was promoted
    created_at: datetime
    deployed_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


class ModelVersion(Struct, frozen=True, kw_only=True):
    """A trained artifact with its lineage."""

    model: str
    version: str  # semantic: major = architecture, minor = retrained, patch = hyperparameters
    artifact_key: str
    artifact_sha256: str
    artifact_bytes: int
    labels: tuple[str, ...]
    dataset: str
    run: RunId
    predecessor: str | None
    metrics: dict[str, Any]
    trained_at: datetime


def follow(release: Release, event: ReleaseEvent) -> ReleaseState:
    """Return the state that `event` leads to. Raises IllegalTransition."""
    return advance(TRANSITIONS, "release", release.state, event)


def predecessor(history: Iterable[Release]) -> Release:
    """Return the release that a rollback makes active: the last one promoted before, if retained.

    A withdrawn release is never chosen. Raises NothingToRollBackTo.
    """
    retained = [r for r in history if r.state is ReleaseState.RETIRED and r.generation is not None]
    if not retained:
        raise NothingToRollBackTo("No earlier release is retained: there is nothing to go back to.")
    return max(retained, key=lambda release: release.generation or 0)


def next_version(latest: str | None) -> str:
    """Return the version of a retrained model.

    >>> next_version(None), next_version("1.4.2")
    ('1.0.0', '1.5.0')
    """
    if latest is None:
        return "1.0.0"
    major, minor, _patch = numbers(latest)
    return f"{major}.{minor + 1}.0"


def numbers(version: str) -> tuple[int, int, int]:
    """Return what a version is ordered by; the clocks of two workers may disagree on its time.

    >>> numbers("1.10.0") > numbers("1.9.2")
    True
    """
    try:
        major, minor, patch = (int(part) for part in version.split("."))
    except ValueError as error:
        raise InvalidInput.of("version", version, "write major.minor.patch") from error
    return major, minor, patch
