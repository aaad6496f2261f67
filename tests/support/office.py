"""Runs that have come as far as their verdict, and the operator who looks at them."""

from typing import Any

import pytest
from msgspec.structs import replace

from burnish.adapters.system import new_id
from burnish.evaluation.model import Evaluation, GateResult, Holdout, Verdict
from burnish.kernel.audit import Actor
from burnish.kernel.ids import RunId
from burnish.pipeline import service
from burnish.pipeline.model import Run, RunEvent
from burnish.pipeline.override import override
from burnish.pipeline.steps.evaluate import Evaluate
from burnish.releases import service as releases
from support.ledger import Ledger, start_run
from support.samples import policy as laundry

KIM = Actor(name="kim", trace_id="a" * 32)
TO_EVALUATING = (RunEvent.COLLECT, RunEvent.PREPARE, RunEvent.TRAIN, RunEvent.EVALUATE)


class Unasked:
    """A collaborator that nobody may turn to: the report is there already."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked")


class Office:
    """Runs that have come as far as their verdict, and the operator who looks at them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.apply(laundry())

    def begin(self) -> Run:
        unit = self.ledger.unit()
        run = start_run(unit, now=self.ledger.tick())
        with unit:
            for event in TO_EVALUATING:
                run = service.move(unit, run, event, now=self.ledger.tick())
            unit.commit()
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
        unit = self.ledger.unit()
        with unit:
            unit.evaluations.add(self.report(run, version, verdict))
            run = unit.runs.save(replace(run, candidate=version, dataset="laundry@1"))
            unit.commit()
        step = Evaluate(
            units=self.ledger.unit,
            datasets=Unasked(),
            judge=Unasked(),
            clock=self.ledger.clock,
        )
        step.evaluate(run)
        return self.look(run)

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
