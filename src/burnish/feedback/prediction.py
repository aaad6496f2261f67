"""A prediction as it was given: what feedback that names a `prediction_id` is joined to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

_TIME_ORDERED: Final = 7  # the UUID version that begins with its time
_TIME_SHIFT: Final = 80  # bits behind the 48 of its milliseconds


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


def given_at(id_: str) -> datetime | None:
    """Return when a prediction's id says that it was given, None if it does not say.

    >>> given_at("4.017f22e2-79b0-7cc3-98c4-dc0c0c07398f").isoformat()
    '2022-02-22T19:22:22+00:00'
    >>> given_at("4.5c146b14-3c52-4afd-938a-375d0df1fbf6") is None
    True
    """
    try:
        uuid = UUID(id_.partition(".")[2])
        if uuid.version != _TIME_ORDERED:
            return None
        return datetime.fromtimestamp((uuid.int >> _TIME_SHIFT) / 1000, UTC)
    except (ValueError, OverflowError):
        return None
