"""What the gates say, and on which evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.evaluation import evidence, gates
from burnish.evaluation.model import Example, Verdict, overall
from burnish.kernel.policy import GatesPolicy
from burnish.kernel.stats import p_better, wilson

LABELS = ("good", "defect")
FLOORS_OFF = GatesPolicy(validation=0, holdout=0, per_class=0)


def examples(both: int = 0, fixes: int = 0, breaks: int = 0, neither: int = 0) -> list[Example]:
    """Make examples on which candidate and champion were right and wrong so often."""
    kinds = {("good", "good"): both, ("good", "defect"): fixes}
    kinds |= {("defect", "good"): breaks, ("defect", "defect"): neither}
    return [
        Example(subject=f"{said}-{before}-{i}", truth="good", candidate=said, champion=before)
        for (said, before), count in kinds.items()
        for i in range(count)
    ]


def better(fixes: int, breaks: int) -> Verdict:
    return gates.better(examples(both=200, fixes=fixes, breaks=breaks), 0.9).verdict


def test_a_candidate_that_fixes_far_more_than_it_breaks_passes() -> None:
    assert better(fixes=40, breaks=15) is Verdict.PASS


def test_a_candidate_that_breaks_far_more_than_it_fixes_fails() -> None:
    assert better(fixes=15, breaks=40) is Verdict.FAIL


def test_too_little_difference_decides_nothing_and_says_how_much_is_missing() -> None:
    result = gates.better(examples(both=200, fixes=6, breaks=4), 0.9)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "more labels would decide it" in result.reason


def test_an_equal_candidate_is_not_promised_a_decision() -> None:
    result = gates.better(examples(both=200, fixes=5, breaks=5), 0.9)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "would not decide it" in result.reason


@given(fixes=st.integers(0, 60), breaks=st.integers(0, 60))
def test_swapping_the_models_mirrors_the_evidence(fixes: int, breaks: int) -> None:
    assert p_better(fixes, breaks) == pytest.approx(1 - p_better(breaks, fixes), abs=1e-9)


@given(fixes=st.integers(0, 60), breaks=st.integers(0, 60))
def test_one_more_fix_never_hurts(fixes: int, breaks: int) -> None:
    assert p_better(fixes + 1, breaks) >= p_better(fixes, breaks)


@given(right=st.integers(0, 400), wrong=st.integers(0, 400), threshold=st.floats(0.01, 0.99))
def test_a_floor_fails_only_beyond_doubt_and_passes_only_at_the_floor(
    right: int, wrong: int, threshold: float
) -> None:
    n = right + wrong
    verdict = gates.floor("holdout", right, n, threshold).verdict
    if verdict is Verdict.FAIL:
        assert wilson(right, n)[1] < threshold
    elif verdict is Verdict.PASS:
        assert right / n >= threshold
        assert n >= gates.MIN_SUPPORT


def test_a_floor_without_examples_is_open() -> None:
    assert gates.floor("validation", 0, 0, 0.9).verdict is Verdict.INCONCLUSIVE


def test_a_floor_of_zero_is_switched_off() -> None:
    assert gates.floor("validation", 0, 0, 0).verdict is Verdict.PASS


def test_a_first_model_passes_floors_only() -> None:
    first = [
        Example(subject=str(i), truth="good", candidate="good", champion=None) for i in range(50)
    ]
    results = gates.judge(GatesPolicy(), first, validation=(48, 50))
    assert {result.gate for result in results} == {"validation", "holdout", "class good"}
    assert overall(results) is Verdict.PASS


def test_one_failed_gate_fails_all_and_one_open_gate_holds_all() -> None:
    failing = gates.judge(FLOORS_OFF, examples(both=50, breaks=30), validation=(1, 1))
    holding = gates.judge(FLOORS_OFF, examples(both=50, fixes=2, breaks=2), validation=(1, 1))
    assert overall(failing) is Verdict.FAIL
    assert overall(holding) is Verdict.INCONCLUSIVE


def test_a_weak_class_is_not_hidden_by_a_strong_one() -> None:
    strong = examples(both=300)
    weak = [
        Example(subject=f"d{i}", truth="defect", candidate="good", champion="good")
        for i in range(20)
    ]
    results = gates.judge(GatesPolicy(), strong + weak, validation=(95, 100))
    verdicts = {result.gate: result.verdict for result in results}
    assert verdicts["holdout"] is Verdict.PASS
    assert verdicts["class defect"] is Verdict.FAIL


def test_the_report_names_what_became_right_and_wrong() -> None:
    asked = examples(both=3, fixes=2, breaks=1, neither=1)
    assert evidence.newly_right(asked) == ("good-defect-0", "good-defect-1")
    assert evidence.newly_wrong(asked) == ("defect-good-0",)
    assert evidence.confusion(asked, LABELS) == {
        "good": {"good": 5, "defect": 2},
        "defect": {"good": 0, "defect": 0},
    }
    found = evidence.holdout(asked)
    assert (found.n, found.accuracy, found.champion_accuracy) == (7, 5 / 7, 4 / 7)
