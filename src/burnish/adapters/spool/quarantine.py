"""What could not be accepted, kept: synced locally before the answer, then in the object store."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from burnish.adapters.backoff import Stopped, retry_forever
from burnish.adapters.crash import crash_point
from burnish.adapters.files import TEMPORARY, make_folder, sync_folder, write_durably
from burnish.adapters.spool.group import GroupCommit, tell
from burnish.adapters.spool.outage import Outage
from burnish.adapters.spool.reserve import Reserve
from burnish.adapters.spool.segments import no_room
from burnish.feedback.model import Backpressure, Rejection
from burnish.feedback.ports import Kept, Meter, QuarantineIndex
from burnish.feedback.quarantine import entries
from burnish.kernel.digest import PREFIX, digest
from burnish.kernel.errors import BurnishError
from burnish.kernel.objects import Objects

_log = structlog.get_logger("burnish.quarantine")

_LOOK_S: Final = 0.5
_LAST_STEP_S: Final = 5.0  # for the upload under way when the deadline has passed
_NAME_DIGITS: Final = 32  # of the content's digest: enough to be the only one of its name
_CAP_BYTES: Final = 256 << 20  # waiting for upload; beyond it, 429
_RETRY_S: Final = 10


class _Keep(Struct):
    rejections: Sequence[Rejection]
    size: int
    done: Callable[[Kept], None]

    def fail(self, error: BurnishError) -> None:
        """Tell the caller that it is not kept."""
        tell(self.done, error)


class QuarantineSpool:
    """A folder of synced files, one per commit and code, each on its way to the object store.

    A file lies where its object will: `quarantine/<code>/dt=YYYY-MM-DD/<digest>.ndjson`, so that an
    upload may be repeated after any crash.

    Args:
        folder: DIR/spool/<shard>/quarantine.
        objects: where the files go.
        index: told of each record once its file is there.
        reserve: given up when the disk is full.
        meter: counts uploads.
        failed: told of an error that ended it for good.
        cap_bytes: how much may wait for upload.
        retry_first_s: greatest wait in seconds after the first failed upload.
    """

    def __init__(
        self,
        folder: Path,
        objects: Objects,
        *,
        index: QuarantineIndex,
        reserve: Reserve,
        meter: Meter,
        failed: Callable[[BaseException], None],
        cap_bytes: int = _CAP_BYTES,
        retry_first_s: float = 0.1,
    ) -> None:
        self._folder, self._objects, self._meter = folder, objects, meter
        self._index = index
        self._reserve, self._outage = reserve, Outage("quarantine", meter)
        self._cap, self._retry_first_s = cap_bytes, retry_first_s
        make_folder(folder)
        for unfinished in folder.rglob(f"{TEMPORARY}*"):
            unfinished.unlink()
        self._waiting = sum(path.stat().st_size for path in self._pending())
        self._size_lock = threading.Lock()
        self._stop, self._draining = threading.Event(), threading.Event()
        self._wake = threading.Event()
        self._group = GroupCommit[_Keep]("quarantine-committer", self._commit, failed=failed)
        self._uploader = threading.Thread(target=self._run, name="quarantine-uploader", daemon=True)
        self._uploader.start()

    def keep(self, rejections: Sequence[Rejection], done: Callable[[Kept], None]) -> None:
        """Queue rejections, as the port says. Raises Backpressure, Closed."""
        size = sum(len(one.body or "") + len(one.body_b64 or b"") for one in rejections)
        with self._size_lock:
            if self._waiting and self._waiting + size > self._cap:
                raise Backpressure("The quarantine is full: try again.", retry_after=_RETRY_S)
        self._group.submit(_Keep(rejections, size, done))

    @property
    def waiting_bytes(self) -> int:
        """How much is kept here alone, not yet in the object store."""
        return self._waiting

    def failing_s(self) -> float:
        """Return for how many seconds uploads have failed, 0 if they go well."""
        return self._outage.seconds()

    def close(self, *, deadline_s: float) -> None:
        """Commit what is queued, upload what can be in time, end; the rest stays on disk."""
        self._group.close()
        self._draining.set()
        self._wake.set()
        self._uploader.join(deadline_s)
        self._stop.set()
        self._uploader.join(_LAST_STEP_S)

    def _commit(self, jobs: list[_Keep]) -> None:
        files: defaultdict[tuple[str, str], list[bytes]] = defaultdict(list)
        for job in jobs:
            for one in job.rejections:
                day = f"{one.received_at:%Y-%m-%d}"
                files[one.code, day].append(msgspec.json.encode(one))
        try:
            for (code, day), lines in files.items():
                self._write(f"quarantine/{code}/dt={day}", b"\n".join(lines) + b"\n")
        except OSError as error:  # files are written whole or not at all, so going on is safe
            for job in jobs:
                job.fail(no_room(error))
            return
        crash_point("ingest.after_quarantine")
        self._wake.set()
        for job in jobs:
            tell(job.done, None)

    def _write(self, folder: str, data: bytes) -> None:
        name = digest(data).removeprefix(PREFIX)[:_NAME_DIGITS]
        path = self._folder / folder / f"{name}.ndjson"
        try:
            write_durably(path, data)
        except OSError as error:
            if not self._reserve.relieve(error):
                raise
            write_durably(path, data)
        with self._size_lock:
            self._waiting += len(data)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                draining = self._draining.is_set()  # before the look that it makes the last
                pending = self._pending()
                for path in pending:
                    retry_forever(
                        partial(self._ship, path),
                        stop=self._stop,
                        failed=self._failed,
                        first_s=self._retry_first_s,
                    )
                if not pending:
                    if draining:
                        return
                    self._wake.wait(_LOOK_S)
                    self._wake.clear()
        except Stopped:
            _log.info("quarantine.stopped", waiting_bytes=self._waiting)

    def _ship(self, path: Path) -> None:
        data = path.read_bytes()
        key = path.relative_to(self._folder).as_posix()
        started = time.perf_counter()
        self._objects.put(key, data)
        self._meter.uploaded("quarantine", time.perf_counter() - started)
        self._index.note(entries(key, data))
        self._outage.over()
        path.unlink()
        sync_folder(path.parent)
        with self._size_lock:
            self._waiting -= len(data)

    def _pending(self) -> list[Path]:
        return sorted(self._folder.rglob("*.ndjson"))

    def _failed(self, error: Exception) -> None:
        self._outage.failed(error)
        self._reserve.relieve(error)
