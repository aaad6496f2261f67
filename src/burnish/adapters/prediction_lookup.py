"""The prediction log as ingest asks it: in groups, by one thread, and not at all while it is slow.

The way of a record to its answer never hangs on the database. Whoever asks waits for some
milliseconds; a question that takes longer closes the log to others until it is answered.
"""

import threading
import time
from collections.abc import Callable, Collection
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from burnish.feedback.ports import Found
from burnish.feedback.prediction import PredictionStore

_log = structlog.get_logger("burnish.predictions")

_SLOW_S: Final = 0.05  # a question under way for longer: nobody else waits behind it
_PAUSE_S: Final = 1.0  # without questions, after one that failed
_MOST_IDS: Final = 2000  # in one group

_Asked = tuple[Collection[str], Callable[[Found], None]]


class PredictionLookup:
    """Implements the port `PredictionLog` over a store; safe in any thread.

    Args:
        store: blocks for as long as its database does.
        clock_s: monotonic seconds.
    """

    def __init__(
        self, store: PredictionStore, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._clock_s = store, clock_s
        self._asked: SimpleQueue[_Asked] = SimpleQueue()
        self._since: float | None = None  # when the question under way was put
        self._not_before = 0.0
        threading.Thread(target=self._run, name="prediction-lookup", daemon=True).start()

    def look_up(self, ids: Collection[str], done: Callable[[Found], None]) -> None:
        """Look for predictions, as the port says."""
        now = self._clock_s()
        since = self._since
        if now < self._not_before or (since is not None and now - since > _SLOW_S):
            done(None)
        else:
            self._asked.put((ids, done))

    def _run(self) -> None:
        while True:
            group = self._group()
            self._since = self._clock_s()
            found = self._find({id_ for ids, _ in group for id_ in ids})
            self._since = None
            for _, done in group:
                done(found)

    def _group(self) -> list[_Asked]:
        group = [self._asked.get()]
        size = len(group[0][0])
        try:
            while size < _MOST_IDS:
                group.append(self._asked.get_nowait())
                size += len(group[-1][0])
        except Empty:
            pass
        return group

    def _find(self, ids: Collection[str]) -> Found:
        try:
            return self._store.lookup(ids)
        except Exception as error:  # noqa: BLE001 - whatever it is, records go on without it
            _log.warning("predictions.out_of_reach", error=repr(error))
            self._not_before = self._clock_s() + _PAUSE_S
            return None
