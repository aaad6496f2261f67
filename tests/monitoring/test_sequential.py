"""The sequential test: how often it errs, and how soon it sees."""

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from burnish.kernel.policy import MonitorPolicy
from burnish.monitoring.model import ROLLBACK_ALPHA, Tally, weigh
from burnish.monitoring.sequential import log_wealth

MIN_OUTCOMES = MonitorPolicy().min_outcomes
OUTCOMES = 2_000
NEVER = 10**6


def boundary(line: float) -> NDArray[Any]:
    """Return, for each number of outcomes from 1, the fewest wrong ones that decide."""
    trials = np.arange(1, OUTCOMES + 1)
    low, high = np.zeros_like(trials), trials + 1  # wealth grows with the wrong ones: bisect
    for _ in range(12):
        middle = (low + high) // 2
        decides = log_wealth(trials - middle, middle, line=line) >= log(2 / ROLLBACK_ALPHA)
        low, high = np.where(decides, low, middle + 1), np.where(decides, middle, high)
    return np.where(trials >= MIN_OUTCOMES, high, NEVER)


def rolled_back_after(accuracy: float, *, line: float, releases: int) -> NDArray[Any]:
    """Simulate releases looked at after every outcome; return after how many each was decided."""
    random, limits = np.random.default_rng(20261121), boundary(line)
    result = []
    for _ in range(releases // 1_000):
        wrong = (random.random((1_000, OUTCOMES)) >= accuracy).cumsum(axis=1)
        crossed = wrong >= limits
        result.append(np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, NEVER))
    return np.concatenate(result)


@pytest.mark.parametrize("line", [0.65, 0.80, 0.95])
@pytest.mark.parametrize("above", [0.0, 0.02])
def test_a_model_at_or_above_the_line_is_rolled_back_in_at_most_one_case_of_a_hundred(
    line: float, above: float
) -> None:
    decided = rolled_back_after(line + above, line=line, releases=10_000)
    assert (decided < NEVER).mean() <= ROLLBACK_ALPHA


@pytest.mark.parametrize(("accuracy", "outcomes"), [(0.70, 220), (0.60, 60), (0.50, 35)])
def test_a_model_below_the_line_is_caught_soon(accuracy: float, outcomes: int) -> None:
    decided = rolled_back_after(accuracy, line=0.80, releases=3_000)
    assert np.median(decided) <= outcomes


@pytest.mark.parametrize("coverage", [0.02, 0.3, 1.0])
def test_reporting_nothing_but_errors_takes_no_good_model_back(coverage: float) -> None:
    """The bet on all answers holds whatever people choose to report, at every moment."""
    random, limits = np.random.default_rng(7), boundary(0.80)
    wrong = (random.random((5_000, OUTCOMES)) >= 0.80) & (random.random((5_000, 1)) < coverage)
    decided = (wrong.cumsum(axis=1) >= limits).any(axis=1)
    assert decided.mean() <= ROLLBACK_ALPHA


@given(
    right=st.integers(0, 3_000),
    wrong=st.integers(0, 3_000),
    line=st.floats(0.01, 1.0),
)
def test_one_more_error_speaks_against_a_release_and_one_more_right_answer_for_it(
    right: int, wrong: int, line: float
) -> None:
    wealth = log_wealth([right, right, right + 1], [wrong, wrong + 1, wrong], line=line)
    assert wealth[1] > wealth[0] > wealth[2]


@given(right=st.integers(0, 500), wrong=st.integers(0, 500), line=st.floats(0.05, 0.99))
def test_under_the_claim_nobody_can_expect_to_gain(right: int, wrong: int, line: float) -> None:
    now, after_right, after_wrong = np.exp(
        log_wealth([right, right + 1, right], [wrong, wrong, wrong + 1], line=line)
        - log_wealth(right, wrong, line=line)
    )
    assert line * after_right + (1 - line) * after_wrong == pytest.approx(now)


def test_before_the_first_outcome_nothing_speaks_either_way() -> None:
    assert log_wealth(0, 0, line=0.8) == pytest.approx(0)


def test_a_line_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        log_wealth(1, 1, line=0)


tallies = st.builds(
    lambda right, wrong, sampled_right, sampled_wrong, unjudged: Tally(
        predictions=right + wrong + sampled_right + sampled_wrong + unjudged,
        right=right + sampled_right,
        wrong=wrong + sampled_wrong,
        sampled_right=sampled_right,
        sampled_wrong=sampled_wrong,
    ),
    *[st.integers(0, 400)] * 4,
    unjudged=st.integers(0, 20_000),
)


@given(tally=tallies, line=st.floats(0, 1))
def test_fewer_outcomes_than_wanted_decide_nothing(tally: Tally, line: float) -> None:
    assert not weigh(tally, line, alpha=0.01, min_outcomes=tally.outcomes + 1).crossed
    assert not weigh(tally, 0, alpha=0.01, min_outcomes=0).crossed


@given(tally=tallies, line=st.floats(0.01, 1), found=st.integers(1, 100))
def test_confirming_answers_that_nobody_judged_changes_nothing_for_the_worse(
    tally: Tally, line: float, found: int
) -> None:
    """An answer without a verdict counts as right already, so saying so adds no evidence."""
    found = min(found, tally.predictions - tally.outcomes)
    confirmed = Tally(
        predictions=tally.predictions,
        right=tally.right + found,
        wrong=tally.wrong,
        sampled_right=tally.sampled_right,
        sampled_wrong=tally.sampled_wrong,
    )
    before = weigh(tally, line, alpha=0.01, min_outcomes=20)
    after = weigh(confirmed, line, alpha=0.01, min_outcomes=20)
    assert (after.sampled, after.reported) == (before.sampled, before.reported)


def test_errors_that_nobody_drew_count_only_against_all_answers() -> None:
    few_of_many = weigh(Tally(predictions=1_000, wrong=50), 0.8, alpha=0.01, min_outcomes=20)
    half_of_all = weigh(Tally(predictions=100, wrong=50), 0.8, alpha=0.01, min_outcomes=20)
    assert not few_of_many.crossed
    assert half_of_all.crossed
    assert few_of_many.sampled == half_of_all.sampled == 1
