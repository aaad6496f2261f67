"""Keeps an eye on attempts: one that died or fell silent is lost, one that was ended is stopped."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from msgspec.structs import replace

from burnish.kernel.clock import Clock
from burnish.kernel.errors import NotFound
from burnish.kernel.ids import JobId
from burnish.training import service
from burnish.training.model import Failure, Job, JobState, is_silent
from burnish.training.ports import JobUnit, Launcher


class Watcher:
    """Compares what the database says of attempts with what runs; call `look` every second."""

    def __init__(
        self,
        *,
        units: Callable[[], JobUnit],
        views: Callable[[], JobUnit],
        launcher: Launcher,
        clock: Clock,
        silence: timedelta,
    ) -> None:
        self._units = units
        self._views = views
        self._launcher = launcher
        self._clock = clock
        self._silence = silence
        self._watched: dict[tuple[JobId, int], Job] | None = None  # None before the first look

    def look(self) -> None:
        """Give up lost attempts, and stop those whose job has moved on."""
        with self._views() as view:
            running = {(job.id, job.attempt): job for job in view.jobs.running()}
            if self._watched is None:
                self._watched = self._left_behind(view)
        for place in self._watched.keys() - running.keys():
            self._launcher.stop(self._watched[place])
        for job in running.values():
            failure = self._lost(job)
            if failure is not None:
                self._launcher.stop(job)
                service.attempt_lost(self._units(), job.id, job.attempt, failure, now=self._clock())
        self._watched = running

    def _left_behind(self, view: JobUnit) -> dict[tuple[JobId, int], Job]:
        """Return the attempts that run already: whoever was to stop one may have died before."""
        left = {}
        for id_, attempt in self._launcher.living():
            with suppress(NotFound):  # it is of another database
                left[id_, attempt] = replace(view.jobs.get(id_), attempt=attempt)
        return left

    def _lost(self, job: Job) -> Failure | None:
        if is_silent(job, self._clock(), self._silence):
            return Failure(
                code="heartbeat_lost",
                message=f"The trainer said nothing for {self._silence.total_seconds():g} s.",
            )
        known = (self._watched or {}).get((job.id, job.attempt))
        if known is None or self._launcher.is_alive(job) or not self._launcher.was_launched(job):
            return None
        with self._views() as view:  # its last word may have come between the two looks
            now = view.jobs.get(job.id)
        if now.state is not JobState.RUNNING or now.attempt != job.attempt:
            return None
        return Failure(code="exited", message="The trainer ended without a last word; see its log.")
