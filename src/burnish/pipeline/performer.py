"""Performs the steps of a run: enter, act, leave; a failure is recorded and undone."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError
from burnish.kernel.ids import RunId
from burnish.pipeline import service
from burnish.pipeline.model import ENDS, TRANSITIONS, Run, RunFailure, RunState, StepRecord
from burnish.pipeline.ports import Pause, PipelineUnit
from burnish.pipeline.saga import HALVES, Progress, Step

ATTEMPTS: Final = 3  # at a step that fails for no reason that we know, such as a database at rest
ATTEMPT_PAUSE_S: Final = 1.0
STEP_DONE: Final = "done"  # the state of a step that is never done again

# What is reported of a step; a worker's log shows by them what it did, and how often.
BEGUN: Final = "step begun"
DONE: Final = "step done"

Action = Callable[[Run], Progress]
Undo = Callable[[Run, str], None]


class Actions(Struct, frozen=True, kw_only=True):
    """What each step does, and what each undo takes back, by name."""

    do: Mapping[str, Action]
    undo: Mapping[str, Undo]


class Report(Protocol):
    """Where each step's beginnings and its end are reported, and errors that nobody foresaw."""

    def __call__(
        self, message: str, *, run: str, step: str, error: Exception | None = None
    ) -> None:
        """Report it, an error with its trace."""
        ...


class Performer:
    """Does one step of one run, as often as it is asked to."""

    def __init__(
        self,
        *,
        units: Callable[[], PipelineUnit],
        actions: Actions,
        clock: Clock,
        pause: Pause,
        report: Report,
    ) -> None:
        self._units = units
        self._actions = actions
        self._clock = clock
        self._pause = pause
        self._report = report

    def perform(self, step: Step, run: RunId) -> Progress:
        """Do, or look at, one step. Its failure is recorded, its effects undone: then STOP."""
        entered = self._enter(step, run)
        if entered is None:
            return Progress.DONE  # before a crash that the checkpoint did not see
        if entered.state is RunState.HELD or entered.state in ENDS:
            return Progress.STOP
        if entered.state is not step.state:
            return Progress.DONE
        self._report(BEGUN, run=run, step=step.name)
        try:
            progress = self._act(step, entered)
        except BurnishError as error:
            self._give_up(step, entered, RunFailure(code=error.code, detail=error.detail))
            return Progress.STOP
        if progress is Progress.DONE:
            self._leave(step, run)
            self._report(DONE, run=run, step=step.name)
        return progress

    def _enter(self, step: Step, id_: RunId) -> Run | None:
        """Move the run into the step and return it; None if the step is done already."""
        now = self._clock()
        unit = self._units()
        with unit:
            run = unit.runs.get(id_)
            record = next((one for one in unit.runs.steps(id_) if one.step == step.name), None)
            if record is not None and record.ended_at is None and _has_left(step, run):
                unit.runs.end_step(id_, step.name, STEP_DONE, now, {})  # a crash came in between
                unit.commit()
                return run
            if record is not None and record.state == STEP_DONE:
                return None
            if run.state is RunState.HELD or run.state in ENDS:
                return run
            if run.state is not step.state:
                if step.event not in TRANSITIONS[run.state]:
                    return run
                run = service.move(unit, run, step.event, now=now)
            unit.runs.begin_step(id_, step.name, now)
            unit.commit()
        return run

    def _act(self, step: Step, run: Run) -> Progress:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._actions.do[step.name](run)
            except BurnishError:
                raise
            except Exception as error:
                self._report("step failed", run=run.id, step=step.name, error=error)
                if attempt == ATTEMPTS:
                    raise BurnishError(f"{type(error).__name__}: {error}") from error
                self._pause(ATTEMPT_PAUSE_S)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _leave(self, step: Step, id_: RunId) -> None:
        unit = self._units()
        with unit:
            unit.runs.end_step(id_, step.name, STEP_DONE, self._clock(), {})
            unit.commit()

    def _give_up(self, step: Step, run: Run, failure: RunFailure) -> None:
        failed = service.fail(self._units(), run.id, step.name, failure, now=self._clock())
        begun = {record.step for record in self._steps(run.id)}
        for other in reversed([s for half in HALVES.values() for s in half.steps]):
            if other.undo and other.name in begun:
                self._actions.undo[other.undo](failed, failure.detail)

    def _steps(self, id_: RunId) -> list[StepRecord]:
        unit = self._units()
        with unit:
            return unit.runs.steps(id_)


def _has_left(step: Step, run: Run) -> bool:
    """Tell whether a run that was in the step has gone on from it by the step's own doing."""
    return run.state not in (step.state, RunState.FAILED, RunState.CANCELLED)
