"""What is settled at once is what curation says of it, and what is not plain is left to that."""

from datetime import timedelta
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.datasets.columns import Asked
from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.layers import layer
from burnish.datasets.lines import NAMES
from burnish.datasets.model import Reason
from burnish.datasets.reading import SerialReader
from burnish.datasets.settling import settle
from burnish.feedback.model import Selection
from burnish.feedback.parse import record_of
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest
from support.history import NOON, Log, records

EXAM = "gold"
ASKED = Asked(model="laundry", labels=("good", "defect"), validation=0.2, epoch=1, exam=EXAM)


def settled(verdicts: list[Verdict]) -> list[str]:
    """Return of each line why it was left out, if it was."""
    log = Log()
    for verdict in verdicts:
        log.append(verdict, "a")
    read = SerialReader(log, record_of).read(ASKED, {}, log.end())
    lines = read.lines
    new = layer(0, lines, subjects=read.subjects, identities=read.identities)
    settle(new, read, spoken_of=np.zeros(len(lines), bool), speaks=lines.outcome == 0)
    return [NAMES[code] for code in lines.outcome.tolist()]


def said(number: int, subject: str, **changes: Any) -> Verdict:
    fields: dict[str, Any] = {"final": "good", "payload": f"burnish:{digest(subject.encode())}"}
    return Verdict(
        source=changes.pop("source", "app"),
        id=f"id-{number}",
        shard="a",
        offset=number,
        model=ASKED.model,
        subject_id=subject,
        corrected=True,
        occurred_at=changes.pop("occurred_at", NOON + timedelta(seconds=number)),
        received_at=NOON + timedelta(days=1, seconds=number),
        actor=changes.pop("actor", f"person-{number}"),
        **(fields | changes),
    )


def test_of_one_subject_the_last_word_stands_and_of_one_photo_the_first_subject() -> None:
    photo = f"burnish:{digest(b'photo')}"
    assert settled(
        [
            said(2, "again"),
            said(1, "again"),
            said(3, "again", actor="person-2"),
            said(4, "alone"),
            said(5, "b", payload=photo),
            said(6, "a", payload=photo),
            said(7, "c", payload=photo),
            said(8, "c", payload=photo),
        ]
    ) == ["superseded", "superseded", "", "", "near_duplicate", "", "superseded", "near_duplicate"]


def test_what_is_not_plain_is_left_to_curation() -> None:
    other = f"burnish:{digest(b'other')}"
    verdicts = [
        *(said(1, "quarrel"), said(2, "quarrel", final="defect")),
        *(said(3, "at once", occurred_at=NOON), said(4, "at once", occurred_at=NOON)),
        *(said(5, "doubtful"), said(6, "doubtful", selection=Selection.UNCERTAINTY)),
        *(said(7, "examined"), said(8, "examined", source=EXAM)),
        *(said(9, "foreign", final="clean"), said(10, "foreign", final="dirty")),
        *(said(11, "elsewhere"), said(12, "elsewhere", payload="https://photos/1.jpg")),
        *(said(13, "one", payload=other), said(14, "two", payload=other, final="defect")),
    ]
    assert not any(settled(verdicts))


@given(seed=st.integers(0, 2**32), subjects=st.sampled_from([30, 300]))
@settings(max_examples=50, deadline=None)
def test_whatever_is_settled_curation_says_too(seed: int, subjects: int) -> None:
    drawn = [
        verdict
        for verdict in records(Random(seed), 200, subjects=subjects)
        if verdict.model == ASKED.model
    ]
    verdicts = list({verdict.identity: verdict for verdict in drawn}.values())
    curated = curate(
        verdicts, locate(verdicts, {}, timedelta(days=1)), exam=Exam.of(verdicts, EXAM)
    )
    for verdict, reason in zip(verdicts, settled(verdicts), strict=True):
        if reason:
            assert curated.left_out[verdict.place] == Reason(reason)
