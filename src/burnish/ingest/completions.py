"""From the committer's thread back to the event loop, with one wake-up for a whole group."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Completions(Generic[Result]):
    """Futures of one event loop that other threads complete."""

    def __init__(self) -> None:
        self._ready: deque[tuple[asyncio.Future[Result], Result]] = deque()
        self._woken = False

    def expect(self) -> tuple[asyncio.Future[Result], Callable[[Result], None]]:
        """Return a future of the running loop, and what completes it from any thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def done(result: Result) -> None:
            self._ready.append((future, result))
            if not self._woken:
                self._woken = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(self._drain)

        return future, done

    def _drain(self) -> None:
        self._woken = False  # before the last look: who comes later than it wakes us again
        while self._ready:
            future, result = self._ready.popleft()
            if not future.done():  # its client may have left
                future.set_result(result)
