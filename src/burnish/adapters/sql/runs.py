"""Runs, their steps, and evaluation reports in the database."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import columns, insert_new, read
from burnish.adapters.sql.schema import evaluations, run_steps, runs
from burnish.evaluation.model import Evaluation
from burnish.kernel.errors import NotFound, Stale
from burnish.kernel.ids import RunId
from burnish.pipeline.model import ENDS, Run, StepRecord


class SqlRuns:
    """Implements `pipeline.ports.RunStore` inside one transaction."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, run: Run) -> None:
        """Store a new run. Raises Stale if its model has one that has not ended."""
        try:
            self._connection.execute(insert(runs).values(columns(run)))
        except IntegrityError as error:
            raise Stale(f"Model {run.model!r} has a run under way.", model=run.model) from error

    def get(self, run: RunId) -> Run:
        """Return a run. Raises NotFound."""
        found = self._found(run)
        return self._found(run) if self._locks.model(found.model) else found

    def save(self, run: Run) -> Run:
        """Store a run's new state iff its revision is still the stored one, and add 1 to it."""
        saved = msgspec.structs.replace(run, revision=run.revision + 1)
        changed = self._connection.execute(
            update(runs)
            .where(runs.c.id == run.id, runs.c.revision == run.revision)
            .values(columns(saved))
        )
        if changed.rowcount != 1:
            raise Stale(f"Run {run.id} has changed meanwhile: read it again.", run=run.id)
        return saved

    def newest(self, model: str | None = None, *, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        query = select(runs).order_by(runs.c.created_at.desc()).limit(limit)
        if model is not None:
            query = query.where(runs.c.model == model)
        return [read(row, Run) for row in self._connection.execute(query).mappings()]

    def active(self, model: str) -> Run | None:
        """Return the run of a model that has not ended, if there is one."""
        self._locks.model(model)
        ended = [state.value for state in ENDS]
        query = select(runs).where(runs.c.model == model, runs.c.state.not_in(ended))
        row = self._connection.execute(query).mappings().first()
        return None if row is None else read(row, Run)

    def steps(self, run: RunId) -> list[StepRecord]:
        """Return what became of a run's steps, in the order in which they began."""
        query = select(run_steps).where(run_steps.c.run == run).order_by(run_steps.c.started_at)
        return [read(row, StepRecord) for row in self._connection.execute(query).mappings()]

    def begin_step(self, run: RunId, step: str, now: datetime) -> None:
        """Note that a step began; once."""
        row = {"run": run, "step": step, "state": "running", "started_at": now, "detail": {}}
        insert_new(self._connection, run_steps, row, unless_same=("run", "step"))

    def end_step(
        self, run: RunId, step: str, state: str, now: datetime, detail: dict[str, Any]
    ) -> None:
        """Note how a step ended."""
        self._connection.execute(
            update(run_steps)
            .where(run_steps.c.run == run, run_steps.c.step == step)
            .values(state=state, ended_at=now, detail=detail)
        )

    def _found(self, run: RunId) -> Run:
        query = select(runs).where(runs.c.id == run)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound.of("run", run)
        return read(row, Run)


class SqlEvaluations:
    """Implements `evaluation.ports.EvaluationStore` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, evaluation: Evaluation) -> Evaluation:
        """Store a report; one of the same run already there is returned instead."""
        row = {
            "id": evaluation.id,
            "run": evaluation.run,
            "model": evaluation.model,
            "candidate": evaluation.candidate,
            "champion": evaluation.champion,
            "verdict": evaluation.verdict.value,
            "summary": msgspec.to_builtins(evaluation),
            "report_key": f"evaluations/{evaluation.id}.json",
            "created_at": evaluation.created_at,
        }
        added = insert_new(self._connection, evaluations, row, unless_same="run")
        known = None if added else self.of_run(evaluation.run)
        return known or evaluation

    def get(self, id_: str) -> Evaluation:
        """Return a report. Raises NotFound."""
        query = select(evaluations.c.summary).where(evaluations.c.id == id_)
        summary = self._connection.execute(query).scalar_one_or_none()
        if summary is None:
            raise NotFound.of("evaluation", id_)
        return msgspec.convert(summary, Evaluation)

    def of_run(self, run: RunId) -> Evaluation | None:
        """Return the report on what a run has trained, if there is one."""
        query = select(evaluations.c.summary).where(evaluations.c.run == run)
        summary = self._connection.execute(query).scalar_one_or_none()
        return None if summary is None else msgspec.convert(summary, Evaluation)
