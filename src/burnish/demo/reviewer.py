"""The reviewer: looks at some of the answers and says what the photos truly show.

Its verdicts are the data set's own labels. It corrects every wrong answer that it looks at and
confirms every right one. Half of what it looks at is a random draw of all answers, which tells how
good they are; the other half are those of the rest that the model was least sure of, so that
training learns from doubt without forgetting what is easy.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

from msgspec import Struct

from burnish.demo.answers import Answer

DOUBTFUL_SHARE: Final = 0.5  # of the answers looked at
ACTOR: Final = "reviewer"


class Verdict(Struct, frozen=True, kw_only=True):
    """One answer looked at."""

    answer: Answer
    truth: str
    selection: str  # "uncertainty" or "random"

    @property
    def corrects(self) -> bool:
        """Whether the model was wrong."""
        return self.answer.label != self.truth


class Reviewed(Struct, frozen=True):
    """What arrived in a round, and what the reviewer said about it."""

    answers: tuple[Answer, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    def __add__(self, more: "Reviewed") -> "Reviewed":
        """Join two parts of a round."""
        return Reviewed(self.answers + more.answers, self.verdicts + more.verdicts)

    @property
    def corrections(self) -> list[Verdict]:
        """The verdicts on wrong answers."""
        return [verdict for verdict in self.verdicts if verdict.corrects]

    @property
    def confirmations(self) -> list[Verdict]:
        """The verdicts on right answers."""
        return [verdict for verdict in self.verdicts if not verdict.corrects]


def pick(
    answers: Sequence[Answer], looks: int, random: Random, *, doubtful: float
) -> list[tuple[Answer, str]]:
    """Choose which answers to look at, each with why.

    The random ones are drawn first, from all: drawn from what doubt leaves over, they would
    flatter the model.
    """
    looks = min(looks, len(answers))
    doubts = round(looks * doubtful)
    drawn = random.sample(answers, looks - doubts)
    names = {answer.photo for answer in drawn}
    rest = [answer for answer in answers if answer.photo not in names]
    rest.sort(key=lambda answer: (answer.confidence, answer.photo))
    return [
        *((answer, "random") for answer in drawn),
        *((answer, "uncertainty") for answer in rest[:doubts]),
    ]


def review(
    answers: Sequence[Answer],
    truth: Mapping[str, str],
    looks: int,
    random: Random,
    *,
    doubtful: float = DOUBTFUL_SHARE,
) -> list[Verdict]:
    """Look at some answers, `doubtful` the share of looks at doubtful ones; not at failed ones."""
    good = [answer for answer in answers if not answer.failed]
    return [
        Verdict(answer=answer, truth=truth[answer.photo], selection=selection)
        for answer, selection in pick(good, looks, random, doubtful=doubtful)
    ]


def record(verdict: Verdict, model: str, *, source: str, at: datetime) -> dict[str, Any]:
    """Write a verdict as a plain feedback record; repeated, it is the same record."""
    answer = verdict.answer
    return {
        "source": source,
        "id": f"{answer.photo}/{answer.prediction_id}",
        "model": model,
        "prediction_id": answer.prediction_id,
        "subject_id": answer.photo,
        "predicted": answer.label,
        "final": verdict.truth,
        "corrected": verdict.corrects,
        "selection": verdict.selection,
        "payload": f"burnish:{answer.payload_sha256}",
        "actor": ACTOR,
        "occurred_at": at.isoformat(),
        "schema_version": 1,
    }


def label(
    subject: str, final: str, payload: str, model: str, *, source: str, at: datetime
) -> dict[str, Any]:
    """Write a label that no prediction came before, as a plain feedback record."""
    return {
        "source": source,
        "id": subject,
        "model": model,
        "subject_id": subject,
        "predicted": None,
        "final": final,
        "corrected": True,
        "payload": payload,
        "actor": ACTOR,
        "occurred_at": at.isoformat(),
        "schema_version": 1,
    }
