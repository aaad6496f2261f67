"""What replicas are told: per model, which release to serve, which to load ahead, which to keep."""

from msgspec import Struct, field

from burnish.releases.model import NothingToRollBackTo, Release, ReleaseState, predecessor
from burnish.releases.ports import ReleaseUnit


class ArtifactRef(Struct, frozen=True, kw_only=True):
    """Where the bytes of a model version are, and what they must be."""

    key: str
    sha256: str  # "sha256:<hex>"
    bytes: int


class Assigned(Struct, frozen=True, kw_only=True):
    """A release that a replica is to hold; one with a generation has been promoted."""

    release: str
    model_version: str
    artifact: ArtifactRef
    generation: int | None = None


class ModelAssignment(Struct, frozen=True, kw_only=True):
    """What a replica is to do for one model."""

    kind: str
    labels: tuple[str, ...]
    active: Assigned | None = None  # serve this
    next: Assigned | None = None  # load and warm this; do not serve it
    previous: Assigned | None = None  # keep this warm for a rollback
    capture: float = 1.0  # share of the inputs to keep

    def wanted(self) -> tuple[Assigned, ...]:
        """Return the releases to hold in memory, the most urgent first."""
        return tuple(a for a in (self.active, self.next, self.previous) if a is not None)


class Assignment(Struct, frozen=True, kw_only=True):
    """What a replica is to do, per model; the body of `GET /v1/serving`."""

    models: dict[str, ModelAssignment] = field(default_factory=dict)


def assignment(unit: ReleaseUnit) -> Assignment:
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
            capture=model.policy.capture.sample,
        )
    return Assignment(models=result)


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
        artifact=ArtifactRef(
            key=version.artifact_key,
            sha256=version.artifact_sha256,
            bytes=version.artifact_bytes,
        ),
    )
