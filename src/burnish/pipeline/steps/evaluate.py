"""Evaluate: the candidate beside the model now serving; the verdict decides what follows."""

from collections.abc import Callable

from burnish.evaluation.model import Evaluation, Verdict, sentence
from burnish.evaluation.service import Artifact, Judge
from burnish.kernel.clock import Clock
from burnish.kernel.policy import Approval
from burnish.pipeline import service as runs
from burnish.pipeline.model import Run, RunEvent
from burnish.pipeline.ports import Datasets, PipelineUnit
from burnish.pipeline.saga import RELEASE_HALF, Progress
from burnish.releases.model import ModelVersion

_FOLLOWS = {
    Verdict.PASS: RunEvent.READY,
    Verdict.FAIL: RunEvent.REJECT,
    Verdict.INCONCLUSIVE: RunEvent.HOLD,
}


class Evaluate:
    """Judges the candidate of a run."""

    def __init__(
        self,
        *,
        units: Callable[[], PipelineUnit],
        datasets: Datasets,
        judge: Judge,
        clock: Clock,
    ) -> None:
        self._units = units
        self._datasets = datasets
        self._judge = judge
        self._clock = clock

    def evaluate(self, run: Run) -> Progress:
        """Judge, keep the report, and end the run's first half by the verdict."""
        unit = self._units()
        with unit:
            report = unit.evaluations.of_run(run.id)
        if report is None:
            report = self._judged(run)
        self._apply(run, report)
        return Progress.DONE

    def _judged(self, run: Run) -> Evaluation:
        unit = self._units()
        with unit:
            policy = unit.models.policy(run.policy_digest)
            candidate = unit.versions.get(run.model, str(run.candidate))
            active = unit.releases.active(run.model)
            champion = active and unit.versions.get(run.model, active.model_version)
        n = int(candidate.metrics.get("n") or 0)
        right = round(float(candidate.metrics.get("accuracy") or 0.0) * n)
        return self._judge.evaluate(
            unit,
            run=run.id,
            policy=policy,
            holdout=self._datasets.holdout(candidate.dataset),
            validation=(right, n),
            candidate=_artifact(candidate),
            champion=_artifact(champion) if champion else None,
        )

    def _apply(self, run: Run, report: Evaluation) -> None:
        unit = self._units()
        now = self._clock()
        with unit:
            policy = unit.models.policy(run.policy_digest)
            moved = runs.move(
                unit,
                unit.runs.get(run.id),
                _FOLLOWS[report.verdict],
                now=now,
                reason=sentence(report),
                evaluation=report.id,
            )
            if report.verdict is Verdict.FAIL:
                failed = [gate for gate in report.gates if gate.verdict is Verdict.FAIL]
                data = {
                    "gates": [gate.gate for gate in failed],
                    "values": {gate.gate: gate.value for gate in failed},
                    "thresholds": {gate.gate: gate.threshold for gate in failed},
                    "reasons": {gate.gate: gate.reason for gate in failed},
                    "report": report.id,
                    "candidate": report.candidate,
                    "champion": report.champion,
                }
                unit.outbox.publish("ModelVerificationFailed", run.model, run.id, data)
            if report.verdict is Verdict.PASS and policy.release.approval is Approval.AUTO:
                unit.starter.begin(RELEASE_HALF.name, run.id)
            elif report.verdict is Verdict.PASS:
                runs.move(unit, moved, RunEvent.AWAIT_APPROVAL, now=now)
            unit.commit()


def _artifact(version: ModelVersion) -> Artifact:
    return Artifact(
        version=version.version, key=version.artifact_key, sha256=version.artifact_sha256
    )
