"""The prediction log: answers are queued in memory and written behind, inputs before rows.

A replica never waits for it. What it cannot hold it refuses, which the caller counts; what a crash
takes is at most the last fraction of a second.
"""

import threading
from collections import OrderedDict, deque
from typing import Final

import structlog

from burnish.feedback.prediction import Prediction, PredictionStore
from burnish.kernel.objects import Objects, payload_key

INTERVAL_S: Final = 0.2  # the longest that an answer waits to be written
MAX_WAITING_BYTES: Final = 256 << 20  # of inputs
BATCH: Final = 500  # rows in one transaction
KNOWN: Final = 65536  # inputs remembered as stored, so that a repeated one costs nothing
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)  # waits after a failure, then it is given up

_Entry = tuple[Prediction, bytes | None]


class PredictionWriter:
    """A bounded queue and the thread that empties it."""

    def __init__(self, store: PredictionStore, objects: Objects, *, most_waiting: int) -> None:
        """Take where rows and inputs go, and how many predictions may wait for it."""
        self._most_waiting = most_waiting
        self._store = store
        self._objects = objects
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._log = structlog.get_logger("prediction_log")
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def offer(self, prediction: Prediction, payload: bytes | None) -> bool:
        """Queue an answer and its input; return at once, False if there is no room for it."""
        size = len(payload) if payload is not None else 0
        with self._lock:
            full = (
                len(self._waiting) >= self._most_waiting or self._bytes + size > MAX_WAITING_BYTES
            )
            if full or self._stopping.is_set():
                return False
            self._waiting.append((prediction, payload))
            self._bytes += size
        return True

    def stop(self) -> None:
        """Take no more, write what is queued, and end the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while batch := self._take():
            self._write(batch)
            with self._lock:
                self._bytes -= sum(len(payload) for _, payload in batch if payload is not None)

    def _take(self) -> list[_Entry]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _write(self, batch: list[_Entry]) -> None:
        """Write a batch, again and again for a while: rows are idempotent, inputs immutable."""
        for wait in (*RETRY_S, None):
            try:
                self._write_once(batch)
            except Exception as error:  # noqa: BLE001  whatever the stores raise, the thread goes on
                if wait is None or self._stopping.is_set():
                    self._log.error("predictions lost", count=len(batch), error=str(error))
                    return
                self._log.warning("predictions not written yet", error=repr(error))
                self._stopping.wait(wait)
            else:
                return

    def _write_once(self, batch: list[_Entry]) -> None:
        for prediction, payload in batch:
            if payload is not None and prediction.payload_sha256 is not None:
                self._capture(prediction.payload_sha256, payload)
        self._store.append([prediction for prediction, _ in batch])

    def _capture(self, sha256: str, payload: bytes) -> None:
        if sha256 in self._known:
            self._known.move_to_end(sha256)
            return
        self._objects.put(payload_key(sha256), payload)
        self._known[sha256] = None
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
