"""Overriding the gates: when it is allowed, what it starts, and what it leaves behind."""

from typing import Any

import pytest

from burnish.adapters.system import new_id
from burnish.evaluation.model import Evaluation, GateResult, Holdout, Verdict
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.errors import InvalidInput, Stale
from burnish.kernel.ids import ReleaseId, RunId
from burnish.pipeline import service
from burnish.pipeline.model import Cause, Run, RunEvent, RunState
from burnish.pipeline.override import NotOverridable, override
from burnish.pipeline.service import RunActive
from burnish.pipeline.steps.release import ReleaseStep
from burnish.releases import service as releases
from burnish.releases.model import ReleaseEvent
from support.ledger import Ledger

KIM = Actor(name="kim", trace_id="a" * 32)
TO_EVALUATING = (RunEvent.COLLECT, RunEvent.PREPARE, RunEvent.TRAIN, RunEvent.EVALUATE)
AFTER = {Verdict.FAIL: RunEvent.REJECT, Verdict.INCONCLUSIVE: RunEvent.HOLD}


class Office:
    """Runs that have come as far as their verdict, and the operator who looks at them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.apply()

    def begin(self) -> Run:
        unit = self.ledger.unit()
        with unit:
            run = service.start(
                unit,
                id_=RunId(new_id()),
                model="laundry",
                cause=Cause(rule="corrections", reason="enough", corrections=100),
                offsets={"0": 100},
                trace_id="0" * 32,
                actor=SYSTEM,
                now=self.ledger.tick(),
            )
            for event in TO_EVALUATING:
                assert run is not None
                run = service.move(unit, run, event, now=self.ledger.tick())
            unit.commit()
        assert run is not None
        return run

    def judged(self, verdict: Verdict) -> Run:
        """Return a run whose gates said this, and which went where that leads."""
        run = self.begin()
        version = releases.register(
            self.ledger.unit(),
            run=run.id,
            model="laundry",
            dataset="laundry@1",
            artifact={"key": f"artifacts/{run.id}", "sha256": "sha256:" + "0" * 64, "bytes": 1},
            metrics={},
            labels=("good", "defect"),
            now=self.ledger.tick(),
        ).version
        report = self.report(run, version, verdict)
        unit = self.ledger.unit()
        with unit:
            unit.evaluations.add(report)
            run = service.move(
                unit,
                run,
                AFTER.get(verdict, RunEvent.READY),
                now=self.ledger.tick(),
                evaluation=report.id,
                candidate=version,
                dataset="laundry@1",
            )
            unit.commit()
        return run

    def report(self, run: Run, version: str, verdict: Verdict) -> Evaluation:
        def gate(name: str, said: Verdict, value: float) -> GateResult:
            return GateResult(
                gate=name,
                verdict=said,
                value=value,
                threshold=0.9,
                low=None,
                high=None,
                n=100,
                reason="fixes 1, breaks 40",
            )

        return Evaluation(
            id=new_id(),
            run=run.id,
            model="laundry",
            candidate=version,
            champion="1.0.0",
            verdict=verdict,
            gates=(gate("validation", Verdict.PASS, 0.95), gate("better", verdict, 0.01)),
            holdout=Holdout(n=100, accuracy=0.4, low=0.3, high=0.5, champion_accuracy=0.8),
            paired=None,
            confusion={},
            newly_right=(),
            newly_wrong=(),
            created_at=self.ledger.now,
        )

    def override(self, run: Run, reason: str = "the holdout is stale", **changes: Any) -> Run:
        given = {"new": RunId(new_id()), "expected": run.revision, "actor": KIM}
        return override(
            self.ledger.unit(), run.id, reason=reason, now=self.ledger.tick(), **(given | changes)
        )

    def look(self, run: Run) -> Run:
        with self.ledger.view() as view:
            return view.runs.get(run.id)


@pytest.fixture
def office(ledger: Ledger) -> Office:
    return Office(ledger)


def test_a_refused_candidate_goes_to_release_by_a_run_of_its_own(office: Office) -> None:
    refused = office.judged(Verdict.FAIL)
    started = office.override(refused)
    assert started.state is RunState.READY_FOR_RELEASE
    assert started.cause.rule == "override"
    assert (started.candidate, started.evaluation, started.dataset) == (
        refused.candidate,
        refused.evaluation,
        refused.dataset,
    )
    assert office.look(refused) == refused  # an end stays an end
    assert office.ledger.messages.begun[-1] == ("release", started.id)


def test_the_audit_row_says_what_was_overridden_by_whom_and_why(office: Office) -> None:
    refused = office.judged(Verdict.FAIL)
    started = office.override(refused)
    with office.ledger.view() as view:
        row = next(r for r in view.audit_log.newest(limit=9) if r.action == "run.overridden")
        assert view.audit_log.broken_at() is None
        event = next(e for e in view.events.after(0, limit=99) if e.type == "GatesOverridden")
    assert (row.actor, row.subject, row.reason) == (
        "kim",
        f"run:{refused.id}",
        "the holdout is stale",
    )
    assert row.before == {
        "state": "REJECTED",
        "verdict": "FAIL",
        "report": refused.evaluation,
        "gates": {
            "better": {
                "verdict": "FAIL",
                "value": 0.01,
                "threshold": 0.9,
                "reason": "fixes 1, breaks 40",
            }
        },
    }
    assert row.after == {"run": started.id, "candidate": refused.candidate}
    assert event.data["gates"] == row.before["gates"]


def test_a_held_candidate_goes_to_release_and_its_run_gives_way(office: Office) -> None:
    held = office.judged(Verdict.INCONCLUSIVE)
    started = office.override(held)
    assert office.look(held).state is RunState.SUPERSEDED
    with office.ledger.view() as view:
        active = view.runs.active("laundry")
    assert active is not None
    assert active.id == started.id


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.PASS])
def test_what_a_person_turned_down_is_not_overridden(office: Office, verdict: Verdict) -> None:
    run = office.judged(verdict)
    rejected = service.reject(
        office.ledger.unit(),
        run.id,
        expected=run.revision,
        actor=KIM,
        reason="no",
        now=office.ledger.now,
    )
    with pytest.raises(NotOverridable, match="not by a verdict of its gates"):
        office.override(rejected)


def test_a_run_without_a_verdict_is_not_overridden(office: Office) -> None:
    run = office.begin()
    with pytest.raises(NotOverridable):
        office.override(run)
    cancelled = service.cancel(
        office.ledger.unit(),
        run.id,
        expected=run.revision,
        actor=KIM,
        reason="no",
        now=office.ledger.now,
    )
    with pytest.raises(NotOverridable):
        office.override(cancelled)


def test_while_another_run_is_under_way_the_override_waits(office: Office) -> None:
    refused, other = office.judged(Verdict.FAIL), office.begin()
    with pytest.raises(RunActive, match=other.id):
        office.override(refused)


def test_a_second_override_of_the_same_run_finds_the_first_one_under_way(office: Office) -> None:
    refused = office.judged(Verdict.FAIL)
    office.override(refused)
    with pytest.raises(RunActive):
        office.override(refused)


def test_an_override_needs_a_reason_and_what_was_seen(office: Office) -> None:
    refused = office.judged(Verdict.FAIL)
    with pytest.raises(InvalidInput, match="say why"):
        office.override(refused, reason=" ")
    with pytest.raises(Stale):
        office.override(refused, expected=refused.revision - 1)


def test_the_release_says_that_it_came_in_spite_of_its_gates_and_comes_but_once(
    office: Office,
) -> None:
    ledger = office.ledger
    refused = office.judged(Verdict.FAIL)
    started = office.override(refused)
    unit = ledger.unit()
    with unit:
        started = service.move(unit, started, RunEvent.RELEASE, now=ledger.tick())
        unit.commit()
    step = ReleaseStep(
        units=ledger.unit,
        views=ledger.view,
        clock=ledger.clock,
        ids=new_id,
        pause=lambda _seconds: None,
    )
    step.release(started)
    assert office.look(started).state is RunState.SUCCEEDED
    with ledger.view() as view:
        release = view.releases.active("laundry")
        row = next(r for r in view.audit_log.newest(limit=9) if r.action == "release.promoted")
    assert release is not None
    assert release.model_version == refused.candidate
    assert "in spite of its gates: the holdout is stale" in row.reason
    with pytest.raises(NotOverridable, match="was released before"):
        office.override(refused)


def test_a_candidate_whose_release_failed_may_be_tried_again(office: Office) -> None:
    refused = office.judged(Verdict.FAIL)
    first = office.override(refused)
    unit = office.ledger.unit()
    opened = releases.open_release(
        unit,
        id_=ReleaseId(new_id()),
        model="laundry",
        version=str(first.candidate),
        run=first.id,
        now=office.ledger.now,
    )
    releases.abandon(
        unit, opened.id, ReleaseEvent.FAIL, actor=SYSTEM, reason="no replica could load it"
    )
    with unit:
        service.move(unit, office.look(first), RunEvent.CANCEL, now=office.ledger.now)
        unit.commit()
    assert office.override(refused).candidate == refused.candidate
