"""Group commit: whatever has queued up while one group was being synced is the next group."""

import contextlib
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

import structlog

from burnish.kernel.errors import BurnishError, Unavailable

_log = structlog.get_logger("burnish.spool")

MAX_GROUP_BYTES: Final = 4 << 20  # bounds the memory of one write, and the wait of its first job


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
    """One thread that commits jobs in groups, in the order of their submission.

    Args:
        name: of the thread.
        commit: makes a group durable and tells its senders; an exception from it is fail-stop:
            nothing is committed ever after, because after a failed sync nobody knows what is where.
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
        self._closed: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> str | None:
        """Why it takes no jobs, None if it does."""
        return self._closed

    def submit(self, job: AnyJob) -> None:
        """Queue a job. Raises Closed."""
        with self._lock:  # or a job could slip in behind the one that ends the queue
            if self._closed is not None:
                raise Closed(self._closed)
            self._queue.put(job)

    def close(self) -> None:
        """Commit what is queued, then end."""
        self._shut("It is shutting down.")
        self._thread.join()

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
            try:
                self._commit(group)
            except BaseException as error:  # noqa: BLE001 - whatever it was, nothing goes on
                self._stop(group, error)
                return

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
        closed = Closed(self._closed or "")
        with contextlib.suppress(Empty):  # nothing can be added any more
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    group.append(job)
        for one in group:
            one.fail(closed)
        self._failed(error)
