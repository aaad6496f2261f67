"""What a replica does and reports, and the errors of serving.

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
from burnish.releases.assignment import Assigned

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
