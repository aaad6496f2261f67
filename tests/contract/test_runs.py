"""Contracts of `pipeline.ports.RunStore` and `evaluation.ports.EvaluationStore`."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import IllegalTransition, NotFound, Stale
from burnish.kernel.ids import RunId
from burnish.pipeline import service
from burnish.pipeline.model import (
    ENDS,
    TRANSITIONS,
    Cause,
    Run,
    RunEvent,
    RunFailure,
    RunState,
    StepRecord,
)
from burnish.triggers.model import DecisionEntry
from burnish.triggers.service import consider
from support.concurrency import at_once
from support.databases import saved
from support.samples import NOON, evaluation, later, policy, run

Units = Callable[..., SqlUnit]


@pytest.fixture
def model(unit: Units) -> str:
    with saved(unit()) as stores:
        return stores.models.add(policy()).name


def start(unit: Units, model: str) -> Run | None:
    with saved(unit()) as stores:
        return service.start(
            stores,
            id_=RunId(new_id()),
            model=model,
            cause=Cause(rule="corrections", reason="enough", corrections=100),
            offsets={"0": 100},
            trace_id="",
            actor=SYSTEM,
            now=NOON,
        )


def test_a_run_is_found_as_it_was_added(unit: Units) -> None:
    one = run()
    full = run(
        "other",
        state=RunState.FAILED,
        dataset="other@1",
        job="job-1",
        candidate="1.1.0",
        evaluation="e1",
        release="r1",
        failed_step="train",
        failure=RunFailure(code="training.failed", detail="no attempt left"),
        created_at=later(1),
        ended_at=later(2),
    )
    with saved(unit()) as stores:
        stores.runs.add(one)
        stores.runs.add(full)
    with unit(reads_only=True) as stores:
        assert [stores.runs.get(one.id), stores.runs.get(full.id)] == [one, full]
        assert stores.runs.newest() == [full, one]
        assert stores.runs.newest("laundry") == [one]
        assert stores.runs.newest(limit=1) == [full]
        assert stores.runs.active("laundry") == one
        assert stores.runs.active("other") is None
        with pytest.raises(NotFound):
            stores.runs.get(RunId("none"))


def test_a_save_counts_the_revision_and_wants_the_newest(unit: Units) -> None:
    added = run()
    with saved(unit()) as stores:
        stores.runs.add(added)
        changed = stores.runs.save(replace(added, state=RunState.COLLECTING))
    assert changed == replace(added, state=RunState.COLLECTING, revision=2)
    with unit() as stores, pytest.raises(Stale):
        stores.runs.save(added)
    with unit() as stores:
        assert stores.runs.get(added.id) == changed


def test_the_database_itself_holds_a_model_to_one_run_that_has_not_ended(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.runs.add(run())
        stores.runs.add(run("other"))
        stores.runs.add(run(state=RunState.REJECTED, ended_at=NOON))
    with unit() as stores, pytest.raises(Stale):
        stores.runs.add(run())


@pytest.mark.parametrize("state", sorted(TRANSITIONS))
def test_whether_a_run_has_ended_is_said_alike_by_its_state_and_its_end(
    unit: Units, model: str, state: RunState
) -> None:
    event, before = next(
        ((event, source) for source, ways in TRANSITIONS.items() for event, to in ways.items()
         if to is state), (None, None)
    )  # fmt: skip
    with saved(unit()) as stores:
        stores.runs.add(run(state=before or state))
        active = stores.runs.active(model)
        assert active is not None
        moved = active if event is None else service.move(stores, active, event, now=NOON)
        assert (moved.ended_at is not None) == (moved.state in ENDS)
        assert (stores.runs.active(model) is None) == (moved.state in ENDS)


def test_of_starts_at_once_exactly_one_begins(unit: Units, model: str) -> None:
    started, errors = at_once(lambda _: start(unit, model))
    assert errors == []
    [only] = [one for one in started if one is not None]
    with unit() as stores:
        assert stores.runs.newest() == [only]
        assert [entry.action for entry in stores.audit_log.newest(limit=9)] == ["run.started"]


def test_a_run_that_is_held_gives_way_to_exactly_one(unit: Units, model: str) -> None:
    held = run(state=RunState.HELD)
    with saved(unit()) as stores:
        stores.runs.add(held)
    started, errors = at_once(lambda _: start(unit, model))
    assert errors == []
    assert sum(one is not None for one in started) == 1
    with unit() as stores:
        assert stores.runs.get(held.id).state is RunState.SUPERSEDED


def test_of_people_who_ask_at_once_exactly_one_gets_a_run(unit: Units, model: str) -> None:
    def ask(number: int) -> DecisionEntry:
        return consider(unit(), policy(model), now=later(number), operator="now")

    decisions, errors = at_once(ask)
    assert errors == []
    assert sum(decision.fire for decision in decisions) == 1
    with unit() as stores:
        assert len(stores.runs.newest()) == 1
        assert sum(entry.fire for entry in stores.decisions.list(model)) == 1


def test_of_decisions_on_a_run_at_once_exactly_one_counts(unit: Units, model: str) -> None:
    waiting = run(state=RunState.AWAITING_APPROVAL)
    with saved(unit()) as stores:
        stores.runs.add(waiting)

    def decide(number: int) -> Run:
        decision = (service.approve, service.reject)[number % 2]
        return decision(unit(), waiting.id, expected=1, actor=SYSTEM, reason="mine", now=NOON)

    decided, errors = at_once(decide)
    assert len(decided) == 1
    assert {type(error) for error in errors} == {Stale}
    with unit() as stores:
        assert stores.runs.get(waiting.id) == decided[0]


def test_a_step_that_notes_a_result_never_loses_to_a_person_who_moves_the_run(
    unit: Units, model: str
) -> None:
    training = run(state=RunState.TRAINING)
    with saved(unit()) as stores:
        stores.runs.add(training)

    def change(number: int) -> None:
        with saved(unit()) as stores:
            current = stores.runs.get(training.id)
            if number == 4:
                service.move(stores, current, RunEvent.CANCEL, now=NOON)
            else:
                stores.runs.save(replace(current, offsets={**current.offsets, f"{number}": 1}))

    _, errors = at_once(change)
    assert errors == []
    with unit() as stores:
        ended = stores.runs.get(training.id)
    assert (ended.state, ended.revision) == (RunState.CANCELLED, 9)
    assert set(ended.offsets) == set("0123567")


def test_a_run_fails_or_is_cancelled_but_ends_once(unit: Units, model: str) -> None:
    begun = start(unit, model)
    assert begun is not None
    with saved(unit()) as stores:
        training = stores.runs.save(replace(begun, state=RunState.TRAINING))
    failure = RunFailure(code="training.failed", detail="no attempt left")

    def end(number: int) -> Run:
        if number % 2:
            return service.fail(unit(), training.id, "train", failure, now=NOON)
        return service.cancel(
            unit(),
            training.id,
            expected=training.revision,
            actor=SYSTEM,
            reason="enough",
            now=NOON,
        )

    _, errors = at_once(end)
    assert {type(error) for error in errors} <= {Stale, IllegalTransition}
    with unit() as stores:
        ends = [event for event in stores.events.after(0, limit=50) if event.type == "RunMoved"]
    assert len(ends) == 1


def test_steps_are_listed_as_they_began_and_begin_once(unit: Units) -> None:
    id_ = RunId("run-1")
    with saved(unit()) as stores:
        stores.runs.begin_step(id_, "prepare", later(2))
        stores.runs.begin_step(id_, "collect", later(1))
        stores.runs.begin_step(id_, "collect", later(9))
        stores.runs.end_step(id_, "collect", "done", later(3), {"records": 7})
    with unit(reads_only=True) as stores:
        assert stores.runs.steps(id_) == [
            StepRecord(
                step="collect",
                state="done",
                started_at=later(1),
                ended_at=later(3),
                detail={"records": 7},
            ),
            StepRecord(
                step="prepare", state="running", started_at=later(2), ended_at=None, detail={}
            ),
        ]


def test_an_evaluation_is_found_as_it_was_added_and_a_run_has_one(unit: Units) -> None:
    report = evaluation("run-1")
    with saved(unit()) as stores:
        assert stores.evaluations.add(report) == report
        assert stores.evaluations.add(evaluation("run-1")) == report
    with unit(reads_only=True) as stores:
        assert stores.evaluations.get(report.id) == report
        assert stores.evaluations.of_run(RunId("run-1")) == report
        assert stores.evaluations.of_run(RunId("none")) is None
        with pytest.raises(NotFound):
            stores.evaluations.get("none")


def test_of_evaluations_of_a_run_at_once_one_is_kept(unit: Units) -> None:
    def judge(_: int) -> str:
        with saved(unit()) as stores:
            return stores.evaluations.add(evaluation("run-1")).id

    ids, errors = at_once(judge)
    assert errors == []
    assert len(set(ids)) == 1
