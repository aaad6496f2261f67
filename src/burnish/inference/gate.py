"""How many requests are in flight, and what one beyond that is told."""

from math import ceil
from typing import Final

from burnish.inference.errors import Saturated

_MEMORY: Final = 0.05  # weight of the newest request in the moving mean of service times
_FIRST_GUESS_S: Final = 0.05


class Gate:
    """A bound on requests in flight. Used from the event loop only, so it needs no lock."""

    def __init__(self, limit: int, workers: int) -> None:
        self._limit = limit
        self._workers = workers
        self._mean_s = _FIRST_GUESS_S
        self.in_flight = 0

    def enter(self) -> None:
        """Count a request in. Raises Saturated, which says when the queue will be worked off."""
        if self.in_flight >= self._limit:
            wait = max(1, ceil(self.in_flight * self._mean_s / self._workers))
            raise Saturated(
                f"{self._limit} requests are in flight: try again in {wait} s.", retry_after=wait
            )
        self.in_flight += 1

    def leave(self, seconds: float) -> None:
        """Count a request out that took so long, waiting included."""
        busy = seconds * self._workers / max(self._workers, self.in_flight)  # its share of a worker
        self._mean_s += _MEMORY * (busy - self._mean_s)
        self.in_flight -= 1
