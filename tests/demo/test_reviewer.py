"""Given a round's answers, when the reviewer looks at some, then as its docstring says."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from burnish.demo.answers import Answer
from burnish.demo.reviewer import record, review

AT = datetime(2026, 11, 21, tzinfo=UTC)


def answer(n: int, confidence: float) -> Answer:
    return Answer(
        photo=f"{n:03}.png",
        started=0,
        latency_s=0.01,
        status=200,
        release="r1",
        generation=1,
        model_version="1.0.0",
        prediction_id=f"1.{n}",
        label="good",
        probabilities={"good": confidence, "defect": 1 - confidence},
        payload_sha256="sha256:" + "ab" * 32,
    )


@pytest.fixture
def answers() -> list[Answer]:
    return [answer(n, 0.5 + n / 200) for n in range(100)]


@pytest.fixture
def truth(answers: list[Answer]) -> dict[str, str]:
    return {one.photo: "good" if n % 3 else "defect" for n, one in enumerate(answers)}


def test_the_random_half_is_drawn_from_all_answers(
    answers: list[Answer], truth: dict[str, str]
) -> None:
    drawn = [
        {
            v.answer.photo
            for v in review(answers, truth, 40, Random(seed))
            if v.selection == "random"
        }
        for seed in (0, 0, 1)
    ]
    assert [len(one) for one in drawn] == [20, 20, 20]
    assert drawn[0] == drawn[1] != drawn[2]
    often = Counter(
        v.answer.photo
        for seed in range(400)
        for v in review(answers, truth, 40, Random(seed))
        if v.selection == "random"
    )
    doubtful = sum(often[f"{n:03}.png"] for n in range(20))  # a fifth of all answers
    assert 0.17 < doubtful / often.total() < 0.23


def test_the_other_half_are_the_least_confident_of_the_rest(
    answers: list[Answer], truth: dict[str, str]
) -> None:
    verdicts = review(answers, truth, 40, Random(0))
    drawn = {v.answer.photo for v in verdicts if v.selection == "random"}
    doubted = {v.answer.photo for v in verdicts if v.selection == "uncertainty"}
    rest = [one.photo for one in answers if one.photo not in drawn]
    assert doubted == set(rest[:20])


def test_a_reviewer_may_look_at_random_answers_only(
    answers: list[Answer], truth: dict[str, str]
) -> None:
    verdicts = review(answers, truth, 40, Random(0), doubtful=0.0)
    assert [v.selection for v in verdicts] == ["random"] * 40


def test_nothing_is_looked_at_twice_and_no_more_than_there_is(
    answers: list[Answer], truth: dict[str, str]
) -> None:
    verdicts = review(answers, truth, 1000, Random(0))
    assert sorted(v.answer.photo for v in verdicts) == sorted(one.photo for one in answers)


def test_failed_answers_are_not_looked_at(answers: list[Answer], truth: dict[str, str]) -> None:
    failed = Answer(photo="000.png", started=0, latency_s=30, status=0)
    assert review([failed], truth, 10, Random(0)) == []


def test_wrong_answers_are_corrected_and_right_ones_confirmed(
    answers: list[Answer], truth: dict[str, str]
) -> None:
    for verdict in review(answers, truth, 100, Random(0)):
        sent = record(verdict, "solar", source="solar-review", at=AT)
        assert sent["final"] == truth[verdict.answer.photo]
        assert sent["corrected"] is (sent["predicted"] != sent["final"])
        assert sent["selection"] in {"uncertainty", "random"}
        assert sent["prediction_id"] == verdict.answer.prediction_id


def test_the_same_verdict_is_the_same_record(answers: list[Answer], truth: dict[str, str]) -> None:
    one, same = (
        record(review(answers, truth, 1, Random(0))[0], "solar", source="s", at=AT)
        for _ in range(2)
    )
    assert one == same
