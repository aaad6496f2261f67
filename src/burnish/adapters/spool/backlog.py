"""How much is accepted and not yet persisted, and when that is too much."""

import math
import threading
import time
from collections import deque
from typing import Final

from msgspec import Struct

from burnish.feedback.model import Backpressure

_GRAIN_BYTES: Final = 256 << 10  # commits are summed up to this: bounds memory in an outage
_SMOOTHING: Final = 0.3  # weight of the newest drain rate
_SHORTEST_S: Final = 1
_LONGEST_S: Final = 300
_UNKNOWN_S: Final = 5  # while nothing has drained yet


class _Grain(Struct):
    first: int  # offset
    end: int  # first offset after it
    size: int  # bytes
    since: float  # monotonic seconds of its first record's acceptance
    until: float  # and of its last one's

    def drop(self, end: int) -> int:
        """Take away what lies before an offset within it, as if all came evenly; return bytes."""
        share = (end - self.first) / (self.end - self.first)
        gone = round(self.size * share)
        self.since += (self.until - self.since) * share
        self.first, self.size = end, self.size - gone
        return gone


class Backlog:
    """Bytes queued and spooled, against two water marks; safe in any thread.

    Above `high` records are refused; they are taken again once the backlog is below `low`, so that
    a full spool does not flap. What is queued for the committer is capped by itself.

    Args:
        high: bytes.
        low: bytes.
        queue: bytes that may wait in memory for the committer.
    """

    def __init__(self, *, high: int, low: int, queue: int) -> None:
        self._high, self._low, self._queue = high, low, queue
        self._lock = threading.Lock()
        self._grains: deque[_Grain] = deque()
        self._queued = self._spooled = 0
        self._end = self._persisted = 0
        self._full = False
        self._drain = 0.0  # bytes a second

    def start(self, *, persisted: int) -> None:
        """Set the first offset that is not persisted, before anything is added."""
        self._end = self._persisted = persisted

    def admit(self, size: int) -> None:
        """Take note of bytes that want in. Raises Backpressure, and takes no note."""
        with self._lock:
            spooled = self._spooled + self._queued + size
            self._full = spooled > (self._low if self._full else self._high)
            if self._full or (self._queued and self._queued + size > self._queue):
                retry = self._retry_after()
                raise Backpressure(
                    f"The spool holds {self._spooled} bytes not yet persisted and takes no more: "
                    f"try again in {retry} s.",
                    retry_after=retry,
                )
            self._queued += size

    def settle(self, size: int) -> None:
        """Take back bytes noted by `admit`: they are committed, or have failed."""
        with self._lock:
            self._queued -= size

    def add(self, end: int, size: int, *, age_s: float = 0.0) -> None:
        """Note a commit of `size` bytes up to the offset `end`, made `age_s` seconds ago."""
        moment = time.monotonic() - age_s
        with self._lock:
            self._spooled += size
            first, self._end = self._end, end
            last = self._grains[-1] if self._grains else None
            if last is not None and last.size < _GRAIN_BYTES:
                last.end, last.until = end, moment
                last.size += size
            else:
                self._grains.append(_Grain(first, end, size, moment, moment))

    def persisted(self, offset: int, *, seconds: float = 0.0) -> None:
        """Note that everything before an offset is persisted, and how long that took."""
        with self._lock:
            drained = 0
            while self._grains and self._grains[0].end <= offset:
                drained += self._grains.popleft().size
            if self._grains and self._grains[0].first < offset:
                drained += self._grains[0].drop(offset)
            self._spooled -= drained
            self._persisted = offset
            if drained and seconds > 0:
                rate = drained / seconds
                self._drain += _SMOOTHING * (rate - self._drain) if self._drain else rate

    @property
    def records(self) -> int:
        """Records not yet persisted."""
        return self._end - self._persisted

    @property
    def bytes(self) -> int:
        """Bytes not yet persisted, exact to a quarter of a mebibyte."""
        return self._spooled

    def lag_s(self) -> float:
        """Return the age in seconds of the oldest record that is not persisted, 0 if none is."""
        with self._lock:
            return time.monotonic() - self._grains[0].since if self._grains else 0.0

    def _retry_after(self) -> int:
        if not self._drain:
            return _UNKNOWN_S
        over = self._spooled + self._queued - self._low
        return min(_LONGEST_S, max(_SHORTEST_S, math.ceil(over / self._drain)))
