"""What serving needs of the world."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.feedback.prediction import Prediction
from burnish.releases.assignment import ArtifactRef
from burnish.serving.model import Swap


class Artifacts(Protocol):
    """The bytes of model versions."""

    def fetch(self, artifact: ArtifactRef) -> bytes:
        """Return the bytes, unchecked. Raises NotFound, Unavailable or OSError."""
        ...


class RecentInputs(Protocol):
    """Inputs that a model was asked about lately, decoded; the best to warm its successor with."""

    def sample(self, model: str) -> Sequence[NDArray[np.uint8]]:
        """Return some of them, each [224, 224, 3]; none if nobody asked yet."""
        ...


class PredictionLog(Protocol):
    """Where answers are noted, off the hot path."""

    def offer(self, prediction: Prediction, payload: bytes | None) -> bool:
        """Queue an answer and its input; return at once, False if there is no room for it."""
        ...


class Observer(Protocol):
    """Who hears what happens to releases in a replica; called briefly, from any thread."""

    def swapped(self, model: str, swap: Swap) -> None:
        """Hear that another release serves now."""
        ...

    def refused(self, model: str, release: str, reason: str) -> None:
        """Hear that a release cannot be served."""
        ...
