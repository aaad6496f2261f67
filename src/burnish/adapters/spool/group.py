"""Group commit: whatever has queued up while one group was being synced is the next group.

Two threads that hand a job and its answer to and fro wait for each other, and for the interpreter,
longer than a quick disk takes to sync. So a small job may be committed by the thread that brings
it, while nobody else waits and as long as the disk is quick.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

import structlog

from burnish.kernel.errors import BurnishError, Unavailable

_log = structlog.get_logger("burnish.spool")

MAX_GROUP_BYTES: Final = 4 << 20  # bounds the memory of one write, and the wait of its first job
_QUICK_S: Final = 0.001  # a commit that takes no longer is quick
_SHARE: Final = 10  # a bringer waits for a slow disk no more than one part in so many of its time


class Closed(Unavailable):
    """It takes nothing any more: it was closed, or it failed and stopped for good."""

    code = "spool.closed"


class Job(Protocol):
    """Something to be made durable, whose sender waits."""

    @property
    def size(self) -> int:
        """How many bytes it is."""
        ...

    def fail(self, error: BurnishError) -> None:
        """Tell the sender that it is not durable."""
        ...


AnyJob = TypeVar("AnyJob", bound=Job)
Answer = TypeVar("Answer")


def tell(done: Callable[[Answer], None], answer: Answer) -> None:
    """Give a sender its answer; one that has gone, or fails at it, concerns nobody else."""
    try:
        done(answer)
    except Exception as error:  # noqa: BLE001 - a sender's mistake must not be fail-stop
        _log.warning("spool.sender_failed", error=repr(error))


class GroupCommit(Generic[AnyJob]):
    """Commits jobs in groups, in the order of their submission, one group at a time.

    Args:
        name: of the thread that commits what is queued.
        commit: makes a group durable and tells its senders; an exception from it is fail-stop:
            nothing is committed ever after, because after a failed sync nobody knows what is where.
            Whom it has told by then it removes from the group; the others are told of the failure.
        failed: told of that exception.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[list[AnyJob]], None],
        *,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._commit = commit
        self._failed = failed
        self._queue: SimpleQueue[AnyJob | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0  # jobs submitted and not yet committed
        self._closed: str | None = None
        self._turn = threading.Lock()  # whose holder commits
        self._is_broken = False
        self._apart_until = 0.0  # monotonic seconds: until then all is queued
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> str | None:
        """Why it takes no jobs, None if it does."""
        return self._closed

    def submit(self, job: AnyJob, *, here: bool = False) -> None:
        """Queue a job. Raises Closed.

        Args:
            job: to be committed.
            here: in this thread, and before this returns, if nobody else waits and the disk was
                quick lately.
        """
        with self._lock:  # or a job could slip in behind the one that ends the queue
            if self._closed is not None:
                raise Closed(self._closed)
            here = here and not self._open and time.monotonic() >= self._apart_until
            here = here and self._turn.acquire(blocking=False)  # now: `close` waits for its end
            self._open += 1
            if not here:
                self._queue.put(job)
        if here:
            started = time.monotonic()
            try:
                self._settle([job])
            finally:
                self._turn.release()
            ended = time.monotonic()
            if ended - started > _QUICK_S:
                self._apart_until = ended + _SHARE * (ended - started)

    def close(self) -> None:
        """Commit what is queued, then end."""
        self._shut("It is shutting down.")
        self._thread.join()
        with self._turn:  # whoever commits elsewhere
            pass

    def _shut(self, reason: str) -> None:
        with self._lock:
            if self._closed is None:
                self._closed = reason
                self._queue.put(None)

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if not group:
                continue
            with self._turn:
                if not self._settle(group):
                    return

    def _settle(self, group: list[AnyJob]) -> bool:
        """Commit a group; tell whether others may follow."""
        if self._is_broken:
            self._refuse(group)
            return False
        count = len(group)  # what is told leaves it
        try:
            self._commit(group)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nothing goes on
            self._is_broken = True
            self._stop(group, error)
            return False
        with self._lock:
            self._open -= count
        return True

    def _next_group(self) -> tuple[list[AnyJob], bool]:
        job = self._queue.get()
        group: list[AnyJob] = []
        size = 0
        while job is not None:
            group.append(job)
            size += job.size
            if size >= MAX_GROUP_BYTES:
                return group, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _stop(self, group: list[AnyJob], error: BaseException) -> None:
        _log.critical("spool.failed", error=repr(error), exc_info=error)
        self._shut(f"It failed and has stopped for good: {error!r}. Restart this process.")
        with contextlib.suppress(Empty):  # nothing can be added any more
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    group.append(job)
        self._queue.put(None)  # for the thread, if it was another that failed
        self._refuse(group)
        self._failed(error)

    def _refuse(self, group: list[AnyJob]) -> None:
        closed = Closed(self._closed or "")
        for one in group:
            one.fail(closed)
