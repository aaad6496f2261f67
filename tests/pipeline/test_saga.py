"""The saga's loop, and the performer that does its steps: after any crash they find their place."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import BurnishError, IllegalTransition, InvalidInput, Stale
from burnish.kernel.ids import RunId
from burnish.pipeline import service
from burnish.pipeline.model import ENDS, TRANSITIONS, Cause, Run, RunEvent, RunState
from burnish.pipeline.performer import ATTEMPTS, Actions, Performer
from burnish.pipeline.saga import HALVES, RELEASE_HALF, TRAINING_HALF, Progress, Step, drive
from support.ledger import Ledger, start_run
from support.samples import policy as laundry


class Killed(BaseException):
    """The process dies here."""


class Journal:
    """A durable engine in memory: remembers checkpoints, dies on command."""

    def __init__(self) -> None:
        self.kept: list[Progress] = []
        self.done: list[str] = []
        self.waits = 0
        self.die_at: int | None = None  # checkpoints from now
        self.after_the_work = False

    def drive(self, performer: Performer, run: RunId) -> None:
        self.position = 0
        drive(TRAINING_HALF, run, self, performer)

    def checkpoint(self, name: str, work: Callable[[], Progress]) -> Progress:
        self.position += 1
        if self.position <= len(self.kept):
            return self.kept[self.position - 1]
        dies = self.die_at == 0
        if self.die_at is not None:
            self.die_at -= 1
        if dies and not self.after_the_work:
            raise Killed
        answer = work()
        if dies:
            raise Killed
        self.kept.append(answer)
        self.done.append(name)
        return answer

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.waits += 1


class Works:
    """Steps that need several looks, and effects that must happen once."""

    def __init__(self, ledger: Ledger, looks: int = 1) -> None:
        self.ledger = ledger
        self.looks = dict.fromkeys(("collect", "prepare", "train", "evaluate"), looks)
        self.effects: list[str] = []
        self.undone: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.reported: list[Exception] = []
        self.told: list[tuple[str, str]] = []
        self.acts: list[str] = []  # every time that a step was asked to act
        self.dies_after: str | None = None  # the step that acts, and then the process dies

    def step(self, name: str) -> Callable[[Run], Progress]:
        def act(run: Run) -> Progress:
            self.acts.append(name)
            if name in self.fails:
                raise self.fails[name]
            if name not in self.effects:
                self.effects.append(name)
            self.looks[name] -= 1
            if self.looks[name] > 0:
                return Progress.WAIT
            if name == "evaluate":
                unit = self.ledger.unit()
                with unit:
                    current = unit.runs.get(run.id)
                    service.move(unit, current, RunEvent.READY, now=self.ledger.now)
                    unit.commit()
            if name == self.dies_after:
                self.dies_after = None
                raise Killed
            return Progress.DONE

        return act

    def undo(self, name: str) -> Callable[[Run, str], None]:
        return lambda _run, _reason: self.undone.append(name)

    def performer(self) -> Performer:
        return Performer(
            units=self.ledger.unit,
            actions=Actions(
                do={name: self.step(name) for name in self.looks},
                undo={name: self.undo(name) for name in ("stop_training", "abandon_release")},
            ),
            clock=self.ledger.tick,
            pause=lambda _seconds: None,
            report=self.report,
        )

    def report(self, message: str, *, run: str, step: str, error: Exception | None = None) -> None:
        if error is not None:
            self.reported.append(error)
        else:
            self.told.append((message, step))


def start(ledger: Ledger) -> RunId:
    ledger.apply(laundry())
    return begin(ledger)


def begin(ledger: Ledger) -> RunId:
    return start_run(ledger.unit(), now=ledger.now).id


def state(ledger: Ledger, run: RunId) -> RunState:
    with ledger.view() as view:
        return view.runs.get(run).state


def steps(ledger: Ledger, run: RunId) -> dict[str, str]:
    with ledger.view() as view:
        return {record.step: record.state for record in view.runs.steps(run)}


def test_a_run_goes_through_its_first_half(ledger: Ledger) -> None:
    run, journal, works = start(ledger), Journal(), Works(ledger, looks=3)
    journal.drive(works.performer(), run)
    assert state(ledger, run) is RunState.READY_FOR_RELEASE
    assert works.effects == ["collect", "prepare", "train", "evaluate"]
    assert set(steps(ledger, run).values()) == {"done"}
    assert journal.waits == 2 * 4
    assert ledger.messages.begun == [("train", run)]


@given(die_at=st.integers(0, 8), after_the_work=st.booleans(), looks=st.integers(1, 2))
def test_killed_anywhere_it_resumes_and_ends_the_same(
    new_ledger: Callable[[], Ledger], die_at: int, after_the_work: bool, looks: int
) -> None:
    ledger = new_ledger()
    run, journal, works = start(ledger), Journal(), Works(ledger, looks)
    journal.die_at, journal.after_the_work = die_at, after_the_work
    try:
        journal.drive(works.performer(), run)
    except Killed:
        journal.drive(works.performer(), run)
    assert state(ledger, run) is RunState.READY_FOR_RELEASE
    assert works.effects == ["collect", "prepare", "train", "evaluate"]


@given(die_at=st.integers(0, 3))
def test_a_step_that_is_done_is_not_done_again_though_its_checkpoint_was_lost(
    new_ledger: Callable[[], Ledger], die_at: int
) -> None:
    ledger = new_ledger()
    run, journal, works = start(ledger), Journal(), Works(ledger)
    journal.die_at, journal.after_the_work = die_at, True
    with pytest.raises(Killed):
        journal.drive(works.performer(), run)
    journal.drive(works.performer(), run)
    assert works.acts == ["collect", "prepare", "train", "evaluate"]
    assert works.told == [
        (what, step) for step in works.acts for what in ("step begun", "step done")
    ]


def test_a_step_whose_end_was_lost_in_a_crash_ends_after_it(ledger: Ledger) -> None:
    run, journal, works = start(ledger), Journal(), Works(ledger)
    works.dies_after = "evaluate"  # the run is READY_FOR_RELEASE by then
    with pytest.raises(Killed):
        journal.drive(works.performer(), run)
    assert steps(ledger, run)["evaluate"] == "running"
    journal.drive(works.performer(), run)
    assert steps(ledger, run)["evaluate"] == "done"
    assert works.acts.count("evaluate") == 1


def test_a_failing_step_ends_the_run_and_undoes_what_it_began(ledger: Ledger) -> None:
    run, journal, works = start(ledger), Journal(), Works(ledger)
    works.fails["train"] = InvalidInput("too few photos")
    journal.drive(works.performer(), run)
    with ledger.view() as view:
        failed = view.runs.get(run)
    assert (failed.state, failed.failed_step) == (RunState.FAILED, "train")
    assert failed.failure is not None
    assert failed.failure.detail == "too few photos"
    assert works.undone == ["stop_training"]
    assert "evaluate" not in works.effects
    assert steps(ledger, run)["train"] == "failed"


def test_what_nobody_foresaw_is_tried_again_then_reported_and_ends_the_run(ledger: Ledger) -> None:
    run, journal, works = start(ledger), Journal(), Works(ledger)
    works.fails["prepare"] = RuntimeError("the disk is on fire")
    journal.drive(works.performer(), run)
    assert state(ledger, run) is RunState.FAILED
    assert len(works.reported) == ATTEMPTS


def test_a_cancelled_run_stops_at_its_next_look(ledger: Ledger) -> None:
    run, works = start(ledger), Works(ledger)
    performer = works.performer()
    assert performer.perform(TRAINING_HALF.steps[0], run) is Progress.DONE
    service.cancel(ledger.unit(), run, expected=2, actor=SYSTEM, reason="no", now=ledger.now)
    assert performer.perform(TRAINING_HALF.steps[1], run) is Progress.STOP
    assert works.effects == ["collect"]


def test_a_model_trains_one_run_at_a_time(ledger: Ledger) -> None:
    run = start(ledger)
    with pytest.raises(AssertionError):
        begin(ledger)
    service.cancel(ledger.unit(), run, expected=1, actor=SYSTEM, reason="no", now=ledger.now)
    assert begin(ledger) != run


def test_a_held_run_gives_way_to_newer_data(ledger: Ledger) -> None:
    run = start(ledger)
    unit = ledger.unit()
    with unit:
        held = unit.runs.get(run)
        for event in (
            RunEvent.COLLECT,
            RunEvent.PREPARE,
            RunEvent.TRAIN,
            RunEvent.EVALUATE,
            RunEvent.HOLD,
        ):
            held = service.move(unit, held, event, now=ledger.now)
        unit.commit()
    assert begin(ledger) != run
    assert state(ledger, run) is RunState.SUPERSEDED


def test_approval_starts_the_second_half_once_and_only_from_what_was_seen(ledger: Ledger) -> None:
    run = start(ledger)
    Journal().drive(Works(ledger).performer(), run)
    unit = ledger.unit()
    with unit:
        waiting = service.move(unit, unit.runs.get(run), RunEvent.AWAIT_APPROVAL, now=ledger.now)
        unit.commit()
    seen = waiting.revision
    with pytest.raises(Stale):
        service.approve(
            ledger.unit(), run, expected=seen - 1, actor=SYSTEM, reason="fine", now=ledger.now
        )
    service.approve(ledger.unit(), run, expected=seen, actor=SYSTEM, reason="fine", now=ledger.now)
    with pytest.raises(BurnishError):
        service.approve(
            ledger.unit(), run, expected=seen, actor=SYSTEM, reason="again", now=ledger.now
        )
    assert ledger.messages.begun == [("train", run), ("release", run)]


def test_a_releasing_run_is_not_cancelled_half_way(ledger: Ledger) -> None:
    releasing = Run(
        id=RunId("r"),
        model="laundry",
        state=RunState.RELEASING,
        revision=1,
        cause=Cause(rule="operator", reason="", corrections=0),
        offsets={},
        policy_digest="",
        trace_id="",
        created_at=ledger.now,
    )
    with pytest.raises(IllegalTransition):
        service.move(ledger.unit(), releasing, RunEvent.CANCEL, now=ledger.now)


def test_every_state_has_its_arrows_and_every_step_a_state() -> None:
    assert set(TRANSITIONS) == set(RunState)
    assert {
        RunState.SUCCEEDED,
        RunState.FAILED,
        RunState.REJECTED,
        RunState.CANCELLED,
        RunState.SUPERSEDED,
    } == ENDS
    every: list[Step] = [step for half in HALVES.values() for step in half.steps]
    assert all(
        any(arrows.get(step.event) is step.state for arrows in TRANSITIONS.values())
        for step in every
    )
    assert RELEASE_HALF.name in HALVES
