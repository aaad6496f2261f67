"""A prediction as it was given: what feedback that names a `prediction_id` is joined to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Prediction(Struct, frozen=True, kw_only=True):
    """One answer of one release; immutable, identified by the id that the client was given."""

    id: str  # "<generation>.<uuid7>"
    model: str
    release: str
    generation: int
    model_version: str
    label: str
    confidence: float  # probability of `label`, 0 to 1
    at: datetime
    payload_sha256: str | None = None  # of the captured input; None where it was not kept


class PredictionStore(Protocol):
    """Every prediction given, by id."""

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Keep the predictions, all or none; those whose id is known already are left as is."""
        ...

    def lookup(self, ids: Collection[str]) -> Mapping[str, Prediction]:
        """Return the known ones among `ids`, by id."""
        ...
