"""The reviewer: looks at some of the answers and says what the photos truly show.

Its verdicts are the data set's own labels. It corrects every wrong answer that it looks at and
confirms every right one. Half of what it looks at are answers the model was least sure of, the
other half a random draw, so that the training set learns from doubt without forgetting the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final

from msgspec import Struct

from burnish.demo.album import Photo
from burnish.demo.answers import Answer

UNCERTAIN_SHARE: Final = 0.5  # of the answers looked at
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


def pick(answers: Sequence[Answer], looks: int, random: Random) -> list[tuple[Answer, str]]:
    """Choose which answers to look at, each with why: the least confident first, then at random."""
    by_doubt = sorted(answers, key=lambda answer: (answer.confidence, answer.photo))
    doubtful = by_doubt[: round(looks * UNCERTAIN_SHARE)]
    rest = by_doubt[len(doubtful) :]
    drawn = random.sample(rest, min(looks - len(doubtful), len(rest)))
    return [
        *((answer, "uncertainty") for answer in doubtful),
        *((answer, "random") for answer in drawn),
    ]


def review(
    answers: Sequence[Answer], truth: Mapping[str, str], looks: int, random: Random
) -> list[Verdict]:
    """Look at some answers; failed ones cannot be looked at."""
    good = [answer for answer in answers if not answer.failed]
    return [
        Verdict(answer=answer, truth=truth[answer.photo], selection=selection)
        for answer, selection in pick(good, looks, random)
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


def label(photo: Photo, uri: str, model: str, *, source: str, at: datetime) -> dict[str, Any]:
    """Write a label that no prediction came before, as a plain feedback record."""
    return {
        "source": source,
        "id": photo.name,
        "model": model,
        "subject_id": photo.name,
        "predicted": None,
        "final": photo.label,
        "corrected": True,
        "payload": uri,
        "actor": ACTOR,
        "occurred_at": at.isoformat(),
        "schema_version": 1,
    }
