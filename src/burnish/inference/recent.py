"""The last inputs of each model, decoded, for warming its next release."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

KEPT: Final = 16  # per model; 2.4 MB


class RecentRing:
    """The newest inputs of each model. Safe in any thread: a deque appends atomically."""

    def __init__(self) -> None:
        self._rings: dict[str, deque[NDArray[np.uint8]]] = {}

    def add(self, model: str, image: NDArray[np.uint8]) -> None:
        """Keep an input, and forget the oldest."""
        self._rings.setdefault(model, deque(maxlen=KEPT)).append(image)

    def sample(self, model: str) -> Sequence[NDArray[np.uint8]]:
        """Return what is kept."""
        ring = self._rings.get(model)
        return tuple(ring.copy()) if ring is not None else ()
