"""What replicas are told: per model, which release to serve, which to load ahead, which to keep."""

from msgspec import Struct

from burnish.releases.model import NothingToRollBackTo, Release, ReleaseState, predecessor
from burnish.releases.ports import ReleaseUnit


class ArtifactPlace(Struct, frozen=True, kw_only=True):
    """Where the bytes of a model lie, and what they must hash to."""

    key: str
    sha256: str
    bytes: int


class Assigned(Struct, frozen=True, kw_only=True):
    """One release, as a replica needs to know it."""

    release: str
    generation: int | None  # None for one that was never promoted
    model_version: str
    artifact: ArtifactPlace


class ModelAssignment(Struct, frozen=True, kw_only=True):
    """What a replica does for one model."""

    kind: str
    labels: tuple[str, ...]
    active: Assigned | None  # to be served
    next: Assigned | None  # to be loaded and warmed, not served
    previous: Assigned | None  # to be kept warm for a rollback


class Assignments(Struct, frozen=True, kw_only=True):
    """What a replica does."""

    models: dict[str, ModelAssignment]


def assignments(unit: ReleaseUnit) -> Assignments:
    """Return what every replica is to serve, inside the caller's transaction."""
    result = {}
    for model in unit.models.list():
        history = unit.releases.history(model.name)
        try:
            previous: Release | None = predecessor(history)
        except NothingToRollBackTo:
            previous = None
        result[model.name] = ModelAssignment(
            kind=model.policy.kind,
            labels=model.policy.labels,
            active=_assigned(unit, _first(history, ReleaseState.ACTIVE)),
            next=_assigned(unit, _first(history, ReleaseState.READY)),
            previous=_assigned(unit, previous),
        )
    return Assignments(models=result)


def _first(history: list[Release], state: ReleaseState) -> Release | None:
    return next((release for release in history if release.state is state), None)


def _assigned(unit: ReleaseUnit, release: Release | None) -> Assigned | None:
    if release is None:
        return None
    version = unit.versions.get(release.model, release.model_version)
    return Assigned(
        release=release.id,
        generation=release.generation,
        model_version=release.model_version,
        artifact=ArtifactPlace(
            key=version.artifact_key,
            sha256=version.artifact_sha256,
            bytes=version.artifact_bytes,
        ),
    )
