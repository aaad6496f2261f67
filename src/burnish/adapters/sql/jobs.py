"""Training jobs in the database."""

from sqlalchemy import Connection, select, update

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import columns, insert_new, read
from burnish.adapters.sql.schema import jobs
from burnish.kernel.errors import NotFound
from burnish.kernel.ids import JobId, RunId
from burnish.training.model import Job, JobState


class SqlJobs:
    """Implements `training.ports.JobStore` inside one transaction."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, job: Job) -> Job:
        """Store a new job; one of the same run already there is returned instead."""
        added = insert_new(self._connection, jobs, columns(job), unless_same="run")
        known = None if added or job.run is None else self.of_run(job.run)
        return known or job

    def get(self, job: JobId) -> Job:
        """Return a job. Raises NotFound."""
        query = self._locks.job(job, select(jobs).where(jobs.c.id == job))
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound.of("job", job)
        return read(row, Job)

    def of_run(self, run: RunId) -> Job | None:
        """Return the job of a run, if it has one."""
        query = self._locks.job(f"of {run}", select(jobs).where(jobs.c.run == run))
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, Job)

    def save(self, job: Job) -> None:
        """Store a job's new state."""
        self._connection.execute(update(jobs).where(jobs.c.id == job.id).values(columns(job)))

    def newest(self, model: str | None = None, *, limit: int = 100) -> list[Job]:
        """Return the newest jobs, newest first."""
        query = select(jobs).order_by(jobs.c.queued_at.desc()).limit(limit)
        if model is not None:
            query = query.where(jobs.c.model == model)
        return [read(row, Job) for row in self._connection.execute(query).mappings()]

    def running(self) -> list[Job]:
        """Return the jobs that have an attempt under way."""
        query = select(jobs).where(jobs.c.state == JobState.RUNNING.value)
        return [read(row, Job) for row in self._connection.execute(query).mappings()]
