"""The documents between control plane and replica, and the errors of serving.

BurnishError
├── NotFound
│   ├── ModelUnknown         model.unknown          no model of this name
│   └── VersionUnknown       model.version_unknown  the model serves another version
├── Unavailable
│   └── ModelNotReady        model.not_ready        the model has no release in memory yet
└── Stale
    └── OldGeneration        serving.old_generation a swap to a generation that was passed
"""

from msgspec import Struct, field

from burnish.kernel.errors import NotFound, Stale, Unavailable

SWAPS_REPORTED = 10  # newest swaps of a model that a report carries


class ModelUnknown(NotFound):
    """No model has this name."""

    code = "model.unknown"


class VersionUnknown(NotFound):
    """The model is there, but serves another version than the one asked for."""

    code = "model.version_unknown"


class ModelNotReady(Unavailable):
    """The model is known, but none of its releases is in memory."""

    code = "model.not_ready"


class OldGeneration(Stale):
    """Generations only grow: this one is not newer than what serves."""

    code = "serving.old_generation"


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

    def wanted(self) -> tuple[Assigned, ...]:
        """Return the releases to hold in memory, the most urgent first."""
        return tuple(a for a in (self.active, self.next, self.previous) if a is not None)


class Assignment(Struct, frozen=True, kw_only=True):
    """What a replica is to do, per model; the body of `GET /v1/serving`."""

    models: dict[str, ModelAssignment] = field(default_factory=dict)


class Order(Struct, frozen=True, kw_only=True):
    """One release to be made ready."""

    model: str
    labels: tuple[str, ...]
    assigned: Assigned


class Swap(Struct, frozen=True, kw_only=True):
    """One move of the pointer that requests follow."""

    from_release: str | None = field(name="from")  # None: nothing served before
    to_release: str = field(name="to")
    generation: int
    swap_us: float  # microseconds that the move took
    ready_seconds: float  # from learning of the release to holding it warm; 0 if it already was


class ServingRelease(Struct, frozen=True, kw_only=True):
    """The release that answers, and its fencing token."""

    release: str
    generation: int


class ModelReport(Struct, frozen=True, kw_only=True):
    """What a replica holds of one model."""

    serving: ServingRelease | None
    loaded: tuple[str, ...]
    failed: dict[str, str]  # release -> why it cannot be served
    swaps: tuple[Swap, ...]  # newest last


class ReplicaReport(Struct, frozen=True, kw_only=True):
    """What a replica does; the body of `PUT /v1/replicas/{id}`."""

    url: str
    models: dict[str, ModelReport]
