"""A look that is taken again and again, on a thread of its own."""

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger("burnish.worker")


class Repeating:
    """Takes a look so often, or sooner if somebody wakes it; one that fails is logged.

    Args:
        name: of the look.
        seconds: between two of them.
        look: what to do.
        daemon: whether the process may end in the middle of it.
    """

    def __init__(
        self, name: str, seconds: float, look: Callable[[], object], *, daemon: bool = False
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._look = look
        self._woken = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=daemon)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Take the next look at once."""
        self._woken.set()

    def end(self) -> None:
        """Take no further look."""
        self._ends = True
        self._woken.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the last look to end, so long at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ends:
            try:
                self._look()
            except Exception:  # noqa: BLE001  the next look may go well
                _log.exception("look failed", what=self._name)
            self._woken.wait(self._seconds)
            self._woken.clear()
