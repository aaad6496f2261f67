"""The evaluate step: what a verdict does to the run, and what the world is told of it."""

import pytest

from burnish.evaluation.model import Verdict
from burnish.pipeline.model import RunState
from support.office import Office


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.FAIL, RunState.REJECTED),
        (Verdict.INCONCLUSIVE, RunState.HELD),
        (Verdict.PASS, RunState.AWAITING_APPROVAL),
    ],
)
def test_the_verdict_decides_where_the_run_goes(
    office: Office, verdict: Verdict, state: RunState
) -> None:
    run = office.judged(verdict)
    assert run.state is state
    with office.ledger.view() as view:
        assert view.evaluations.get(str(run.evaluation)).verdict is verdict


def test_a_refusal_is_published_with_its_gates_their_values_and_the_report(office: Office) -> None:
    run = office.judged(Verdict.FAIL)
    with office.ledger.view() as view:
        events = [e for e in view.events.after(0, limit=99) if e.type == "ModelVerificationFailed"]
        version = view.versions.get("laundry", str(run.candidate))
    (event,) = events
    assert event.data == {
        "gates": ["better"],
        "values": {"better": 0.01},
        "thresholds": {"better": 0.9},
        "reasons": {"better": "fixes 1, breaks 40"},
        "report": run.evaluation,
        "candidate": run.candidate,
        "champion": "1.0.0",
    }
    assert version.run == run.id  # archived: the version and its artifact stay


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.INCONCLUSIVE])
def test_without_a_refusal_nothing_of_the_sort_is_published(
    office: Office, verdict: Verdict
) -> None:
    office.judged(verdict)
    with office.ledger.view() as view:
        types = {event.type for event in view.events.after(0, limit=99)}
    assert "ModelVerificationFailed" not in types
