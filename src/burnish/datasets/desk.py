"""The contradiction desk: what people disagree on, who said what, and what is needed to settle it.

It reads the projection, so that it shows what the next build would leave out, not the last one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from burnish.datasets.contents import NOTHING_KNOWN, Contents
from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.model import Reason
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict, by_recency
from burnish.kernel.policy import ModelPolicy


class Word(Struct, frozen=True, kw_only=True):
    """What one actor said last."""

    actor: str | None
    final: str
    subject: str
    occurred_at: datetime
    source: str
    id: str


class Contradiction(Struct, frozen=True, kw_only=True):
    """Subjects that train nobody until their judges agree, or a reviewer has spoken."""

    subjects: list[str]  # more than one if they show the same content
    payload_sha256: str | None  # what they show, as far as that is known
    words: list[Word]  # oldest first


class DisputedStore(Protocol):
    """The projection, as far as the desk needs it."""

    def disputed(self, model: str, *, limit: int) -> list[Verdict]:
        """Return all verdicts on subjects or payloads that were not always given one label."""
        ...


def named(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the predictions that verdicts name."""
    return {said.prediction_id for said in verdicts if said.prediction_id is not None}


def contradictions(
    verdicts: Sequence[Verdict],
    policy: ModelPolicy,
    predictions: Mapping[str, Prediction],
    contents: Contents = NOTHING_KNOWN,
) -> list[Contradiction]:
    """Return what a build would leave to the desk, by the names of the subjects.

    Args:
        verdicts: of one model, all of each subject and content that may be disputed.
        policy: the model's.
        predictions: those that the verdicts name, by id, as far as they are known.
        contents: what is known of the payloads that they name.
    """
    inputs = locate(verdicts, predictions, policy.feedback.window, contents=contents)
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    left_out = curate(verdicts, inputs, exam=exam, reviewers=policy.dataset.reviewers).left_out
    subjects: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if left_out.get(verdict.place) is Reason.CONTRADICTION:
            subjects[verdict.subject_id].append(verdict)
    groups: defaultdict[str, list[Verdict]] = defaultdict(list)
    for subject, words in subjects.items():
        shown = inputs[words[-1].place]
        alone = len({word.final for word in words}) > 1 or isinstance(shown, Reason)
        groups[f"subject {subject}" if alone else shown] += words
    found = [_contradiction(words, inputs) for words in groups.values()]
    return sorted(found, key=lambda one: one.subjects)


def _contradiction(
    words: list[Verdict], inputs: Mapping[tuple[str, int], str | Reason]
) -> Contradiction:
    words.sort(key=by_recency)
    shown = (inputs[word.place] for word in reversed(words))
    return Contradiction(
        subjects=sorted({word.subject_id for word in words}),
        payload_sha256=next((one for one in shown if not isinstance(one, Reason)), None),
        words=[
            Word(
                actor=word.actor,
                final=word.final,
                subject=word.subject_id,
                occurred_at=word.occurred_at,
                source=word.source,
                id=word.id,
            )
            for word in words
        ],
    )
