"""From the spool to the raw log: seal, upload, list, move the offset, delete; in this order."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from msgspec import Struct

from burnish.adapters.backoff import Stopped, retry_forever
from burnish.adapters.crash import crash_point
from burnish.adapters.spool.frames import Frame
from burnish.adapters.spool.group import tell
from burnish.adapters.spool.log import Spool
from burnish.adapters.spool.outage import Outage
from burnish.adapters.spool.sealed import Sealed, SealedFiles
from burnish.adapters.spool.segments import Hint
from burnish.feedback.ports import Manifest, Meter
from burnish.kernel.objects import Objects

Result = TypeVar("Result")

_log = structlog.get_logger("burnish.shipper")

_LOOK_S: Final = 0.25  # how often it looks whether something is due
_HOUR_US: Final = 3_600_000_000
_LAST_STEP_S: Final = 5.0  # for the step under way when the deadline has passed


class ShipperSettings(Struct, frozen=True, kw_only=True):
    """When to seal, and how to retry."""

    seal_bytes: int = 16 << 20  # of records, before compression
    seal_seconds: float = 60.0  # age of the oldest record that is not sealed
    retry_first_s: float = 0.1
    retry_cap_s: float = 15.0


class _Waiter(Struct):
    target: int  # the offset that must be persisted
    done: Callable[[int], None]


class Shipper:
    """One thread that persists what the spool accepts, one sealed range after another.

    Every step may be repeated, and is until it succeeds: the sealed bytes are fixed before the
    first upload, the upload is create-only, the manifest row is idempotent, and the spool deletes
    last.
    """

    def __init__(
        self,
        spool: Spool,
        objects: Objects,
        manifest: Manifest,
        *,
        meter: Meter,
        settings: ShipperSettings | None = None,
    ) -> None:
        self._spool, self._objects, self._manifest = spool, objects, manifest
        self._meter = meter
        self._settings = settings or ShipperSettings()
        self._files = SealedFiles(spool.folder / "sealed")
        self._outage = Outage("raw_log", meter)
        self._hint: Hint | None = None
        self._wake = threading.Event()
        self._draining = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiters: list[_Waiter] = []
        self._thread = threading.Thread(target=self._run, name="spool-shipper", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left sealed."""
        self._thread.start()

    def seal(self, done: Callable[[int], None]) -> None:
        """Seal what is accepted now; call `done(persisted_offset)` once it is all persisted."""
        with self._lock:
            self._waiters.append(_Waiter(self._spool.end, done))
        self._wake.set()

    def failing_s(self) -> float:
        """Return for how many seconds nothing could be persisted, 0 if all goes well."""
        return self._outage.seconds()

    def close(self, *, deadline_s: float) -> bool:
        """Seal and ship what is there, then end; tell whether all of it was persisted in time.

        What was not stays in the spool, for the next process.
        """
        self._draining.set()
        self._wake.set()
        self._thread.join(deadline_s)
        self._stop.set()
        self._thread.join(_LAST_STEP_S)
        return self._spool.persisted_offset >= self._spool.end

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._answer()
                draining = self._draining.is_set()  # first: a step may have looked before it was
                if not self._retrying(self._step) and draining:
                    return
        except Stopped:
            _log.info("shipper.stopped", persisted=self._spool.persisted_offset)

    def _step(self) -> bool:
        """Ship what is sealed, else seal what is due, else wait; tell whether there was work."""
        pending = self._files.pending()
        if pending:
            self._ship(pending[0])
            return True
        if not self._due():
            self._spool.delete_persisted()
            if not self._draining.is_set():
                self._wake.wait(_LOOK_S)
                self._wake.clear()
            return False
        self._seal()
        return True

    def _due(self) -> bool:
        backlog = self._spool.backlog
        if self._spool.end == self._spool.persisted_offset:
            return False
        with self._lock:
            asked = any(one.target > self._spool.persisted_offset for one in self._waiters)
        return (
            asked
            or self._draining.is_set()
            or backlog.bytes >= self._settings.seal_bytes
            or backlog.lag_s() >= self._settings.seal_seconds
        )

    def _seal(self) -> None:
        """Write the next range: up to now, the size, or the hour's end, whichever comes first."""
        started = time.perf_counter()
        sealing: list[Frame] = []
        size, hint = 0, self._hint
        for frame, after in self._spool.read(
            self._spool.persisted_offset, self._spool.end, self._hint
        ):
            if sealing and (
                frame.received_us // _HOUR_US != sealing[0].received_us // _HOUR_US
                or size >= self._settings.seal_bytes
            ):
                break
            sealing.append(frame)
            size += len(frame.lines)
            hint = after
        first, end = sealing[0].first, sealing[-1].end
        self._files.add(
            [frame.lines for frame in sealing],
            first=first,
            last=end - 1,
            hour=sealing[0].received_at,
        )
        self._hint = hint
        self._meter.sealed(time.perf_counter() - started, end - first)

    def _ship(self, sealed: Sealed) -> None:
        if sealed.last < self._spool.persisted_offset:  # a crash came between offset and removal
            self._files.remove(sealed)
            return
        started = time.perf_counter()
        data = sealed.path.read_bytes()
        entry = sealed.entry(self._spool.shard, data)
        self._retrying(lambda: self._put(entry.key, data))
        crash_point("ingest.after_upload")
        self._retrying(lambda: self._manifest.commit(entry))
        crash_point("ingest.after_commit")
        seconds = time.perf_counter() - started
        self._outage.over()
        self._spool.persisted(sealed.last + 1, seconds=seconds)
        self._files.remove(sealed)
        self._spool.delete_persisted()
        crash_point("ingest.after_delete")
        _log.debug("shipper.persisted", key=entry.key, records=entry.records, seconds=seconds)

    def _put(self, key: str, data: bytes) -> None:
        started = time.perf_counter()
        self._objects.put(key, data)
        self._meter.uploaded("raw_log", time.perf_counter() - started)

    def _answer(self) -> None:
        persisted = self._spool.persisted_offset
        with self._lock:
            ready = [one for one in self._waiters if one.target <= persisted]
            self._waiters = [one for one in self._waiters if one.target > persisted]
        for waiter in ready:
            tell(waiter.done, persisted)

    def _retrying(self, attempt: Callable[[], Result]) -> Result:
        return retry_forever(
            attempt,
            stop=self._stop,
            failed=self._failed,
            first_s=self._settings.retry_first_s,
            cap_s=self._settings.retry_cap_s,
        )

    def _failed(self, error: Exception) -> None:
        self._outage.failed(error)
        self._spool.reserve.relieve(error)
