"""What runs a model artifact; evaluation and serving share it so that they agree to the bit."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.kernel.errors import InvalidInput


class ArtifactRejected(InvalidInput):
    """The artifact is no model that we can run: unreadable, wrong shape, or not finite."""

    code = "artifact.rejected"


class LoadedModel(Protocol):
    """A classifier in memory, ready to answer."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the outputs."""
        ...

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities [n, classes] of RGB images [n, 224, 224, 3]; safe in any thread."""
        ...

    def close(self) -> None:
        """Free its memory; it answers no more."""
        ...


class Engine(Protocol):
    """Turns artifact bytes into a model in memory."""

    def load(self, artifact: bytes) -> LoadedModel:
        """Load and check an artifact. Raises ArtifactRejected."""
        ...
