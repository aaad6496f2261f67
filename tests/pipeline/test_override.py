"""Overriding the gates: when it is allowed, what it starts, and what it leaves behind."""

import pytest

from burnish.adapters.system import new_id
from burnish.evaluation.model import Verdict
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import InvalidInput, Stale
from burnish.kernel.ids import ReleaseId
from burnish.pipeline import service
from burnish.pipeline.model import RunEvent, RunState
from burnish.pipeline.override import NotOverridable
from burnish.pipeline.service import RunActive
from burnish.pipeline.steps.release import ReleaseStep
from burnish.releases import service as releases
from burnish.releases.model import ReleaseEvent
from support.office import KIM, Office


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
