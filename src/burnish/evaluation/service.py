"""Use cases on evaluations: both models answer the same questions; the report is kept."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from burnish.datasets.looks import Look, look
from burnish.evaluation import evidence, gates, performance
from burnish.evaluation.model import Evaluation, Example, overall, sentence
from burnish.evaluation.ports import Decode, EvaluationUnit, HeldOut, Labelled, Sandbox, Trial
from burnish.kernel.audit import SYSTEM
from burnish.kernel.clock import Clock
from burnish.kernel.digest import canonical, digest, hexadecimal
from burnish.kernel.errors import InvalidInput
from burnish.kernel.ids import Ids, RunId
from burnish.kernel.inference import Engine
from burnish.kernel.objects import Objects, payload_key
from burnish.kernel.policy import ModelPolicy

BATCH: Final = 8  # photos; larger ones gain nothing on a CPU and keep serving waiting
CAPTURED: Final = 16  # photos that the sandboxed candidate is asked about, over and over


class EmptyHoldout(InvalidInput):
    """There is nothing to judge the candidate on."""

    code = "evaluation.no_holdout"


class Artifact(Struct, frozen=True, kw_only=True):
    """A model version to be judged, and the bytes that it is."""

    version: str
    key: str
    sha256: str


class Judge:
    """Judges candidates; what a model answered once on a holdout is not asked again."""

    def __init__(
        self,
        *,
        objects: Objects,
        engine: Engine,
        decode: Decode,
        sandbox: Sandbox,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._objects = objects
        self._engine = engine
        self._decode = decode
        self._sandbox = sandbox
        self._clock = clock
        self._ids = ids

    def evaluate(
        self,
        unit: EvaluationUnit,
        *,
        run: RunId,
        policy: ModelPolicy,
        holdout: HeldOut,
        validation: tuple[int, int],
        candidate: Artifact,
        champion: Artifact | None,
    ) -> Evaluation:
        """Judge a candidate beside the champion and store the report; the same run judges once.

        The look at the holdout counts from the moment before it, whatever comes of it.
        `validation` is (right, all) of the candidate on its validation split.
        Raises EmptyHoldout, ArtifactRejected, ObjectNotFound.
        """
        rows = holdout.examples
        if not rows:
            raise EmptyHoldout(
                f"Model {policy.name!r} has no holdout example yet: send feedback that was not "
                "chosen by uncertainty, or name dataset.holdout_source in its policy.",
                model=policy.name,
            )
        seen = Look(
            run=run,
            model=policy.name,
            epoch=holdout.epoch,
            dataset=holdout.dataset,
            candidate=candidate.version,
            at=self._clock(),
        )
        look(unit, seen, policy.dataset.look_budget)
        with self._trial(policy, candidate, rows) as trial:
            # It loads beside the accuracy half, and is timed after it: neither falsifies the other.
            said = self._answers(candidate, rows)
            said_before = self._answers(champion, rows) if champion else [None] * len(rows)
            crowd = policy.gates.throughput > 0
            measured = trial.measure(crowd=crowd) if trial else None
        examples = [
            Example(subject=row.subject, truth=row.label, candidate=now, champion=before)
            for row, now, before in zip(rows, said, said_before, strict=True)
        ]
        verdicts = gates.judge(policy.gates, examples, validation=validation)
        if measured is not None:
            verdicts += performance.judge(policy.gates, measured)
        report = Evaluation(
            id=self._ids(),
            run=run,
            model=policy.name,
            candidate=candidate.version,
            champion=champion.version if champion else None,
            verdict=overall(verdicts),
            gates=verdicts,
            holdout=evidence.holdout(examples),
            paired=evidence.paired(examples) if champion else None,
            confusion=evidence.confusion(examples, policy.labels),
            newly_right=evidence.newly_right(examples) if champion else (),
            newly_wrong=evidence.newly_wrong(examples) if champion else (),
            created_at=self._clock(),
            performance=measured,
        )
        self._objects.put(f"evaluations/{report.id}.json", msgspec.json.encode(report))
        return _store(unit, report)

    def _trial(
        self, policy: ModelPolicy, candidate: Artifact, holdout: Sequence[Labelled]
    ) -> AbstractContextManager[Trial | None]:
        if not performance.asked(policy.gates):
            return nullcontext()
        photos = self._photos(holdout[:CAPTURED])
        return self._sandbox.open(self._objects.get(candidate.key), photos)

    def _photos(self, rows: Sequence[Labelled]) -> NDArray[np.uint8]:
        return np.stack(
            [self._decode(self._objects.get(payload_key(row.payload_sha256))) for row in rows]
        )

    def _answers(self, artifact: Artifact, rows: Sequence[Labelled]) -> list[str]:
        questions = digest(canonical([row.payload_sha256 for row in rows]))
        key = f"answers/{hexadecimal(artifact.sha256)}/{hexadecimal(questions)}.json"
        if self._objects.exists(key):
            return msgspec.json.decode(self._objects.get(key), type=list[str])
        model = self._engine.load(self._objects.get(artifact.key))
        try:
            answers: list[str] = []
            for start in range(0, len(rows), BATCH):
                photos = self._photos(rows[start : start + BATCH])
                best = model.predict(photos).argmax(axis=1)
                answers += [model.labels[int(index)] for index in best]
        finally:
            model.close()
        self._objects.put(key, msgspec.json.encode(answers))
        return answers


def _store(unit: EvaluationUnit, report: Evaluation) -> Evaluation:
    with unit:
        stored = unit.evaluations.add(report)
        if stored.id == report.id:
            after = {"verdict": report.verdict, "candidate": report.candidate}
            unit.audit.record(
                SYSTEM,
                "evaluation.judged",
                f"evaluation:{report.id}",
                after=after,
                reason=sentence(report),
            )
            data = {**after, "accuracy": report.holdout.accuracy, "evaluation": report.id}
            unit.outbox.publish("EvaluationCompleted", report.model, report.run, data)
            unit.commit()
    return stored
