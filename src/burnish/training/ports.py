"""What the use cases on training jobs need."""

from collections.abc import Mapping
from typing import Protocol

from burnish.kernel.events import Signals
from burnish.kernel.ids import JobId, RunId
from burnish.kernel.unit import Unit
from burnish.training.model import Job


class JobStore(Protocol):
    """Training jobs."""

    def add(self, job: Job) -> Job:
        """Store a new job; one of the same run already there is returned instead."""
        ...

    def get(self, job: JobId) -> Job:
        """Return a job. Raises NotFound."""
        ...

    def of_run(self, run: RunId) -> Job | None:
        """Return the job of a run, if it has one."""
        ...

    def save(self, job: Job) -> None:
        """Store a job's new state."""
        ...

    def newest(self, model: str | None = None, *, limit: int = 100) -> list[Job]:
        """Return the newest jobs, newest first."""
        ...

    def running(self) -> list[Job]:
        """Return the jobs that have an attempt under way."""
        ...


class JobUnit(Unit, Protocol):
    """One transaction over training jobs."""

    @property
    def jobs(self) -> JobStore:
        """The jobs."""
        ...

    @property
    def signals(self) -> Signals:
        """Wakes the run that waits for a job."""
        ...


class Launcher(Protocol):
    """Starts, follows and stops attempts; `environment` is all that an attempt is given."""

    def launch(self, job: Job, environment: Mapping[str, str]) -> None:
        """Start the job's current attempt, unless it was started before."""
        ...

    def is_alive(self, job: Job) -> bool:
        """Tell whether the current attempt still runs."""
        ...

    def was_launched(self, job: Job) -> bool:
        """Tell whether the current attempt was ever started."""
        ...

    def living(self) -> list[tuple[JobId, int]]:
        """Return every attempt that still runs, whoever started it: job and number."""
        ...

    def stop(self, job: Job) -> None:
        """End the current attempt and whatever it started; it may be over already."""
        ...

    def log(self, job: Job) -> str:
        """Return what the current attempt has printed so far, at most its last megabyte."""
        ...
