"""Given figures of any size, when they are scaled and summed up for a picture, then truthfully."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.demo.answers import Answer
from burnish.demo.report import Judged, Kind, Moment, buckets
from burnish.demo.report.marks import MOST_ROWS, margin, place
from burnish.demo.report.picture import FULL, wide
from burnish.demo.report.scale import Linear, Log, log_ticks, rows, ticks, time_ticks

positive = st.floats(1e-3, 1e5)
bounds = st.tuples(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4)).map(lambda two: (two[0], sum(two)))


@given(bounds, st.integers(2, 12))
def test_ticks_lie_within_their_bounds_evenly_and_not_too_many(
    range_: tuple[float, float], about: int
) -> None:
    low, high = range_
    found = ticks(low, high, about)
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)
    assert len(found) <= 2 * about
    gaps = [right - left for left, right in pairwise(found)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-6) for gap in gaps)


@given(st.floats(0, 1e5), st.floats(1, 1e5), st.integers(2, 12))
def test_ticks_of_time_are_whole_seconds(low: float, span: float, about: int) -> None:
    found = time_ticks(low, low + span, about)
    assert all(tick == round(tick) for tick in found)
    assert len(found) <= about + 1


@given(positive, st.floats(2, 1e4))
def test_ticks_of_ratios_rise_within_their_bounds(low: float, ratio: float) -> None:
    found = log_ticks(low, low * ratio)
    assert found == sorted(set(found))
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in found)


@given(bounds, st.lists(st.floats(-1e5, 1e5), min_size=2))
def test_a_scale_keeps_the_order_and_never_leaves_the_picture(
    range_: tuple[float, float], values: list[float]
) -> None:
    scale = Linear(*range_, 10.0, 300.0)
    drawn = [scale(value) for value in sorted(values)]
    assert drawn == sorted(drawn)
    assert all(10.0 <= place <= 300.0 for place in drawn)


def test_on_a_log_scale_equal_ratios_are_equal_lengths() -> None:
    scale = Log(1.0, 100.0, 0.0, 200.0)
    assert [scale(value) for value in (1.0, 10.0, 100.0, 0.0, 1e9)] == [0, 100, 200, 0, 200]


def test_a_scale_of_one_value_has_a_place_for_it() -> None:
    assert Linear(5.0, 5.0, 10.0, 20.0)(5.0) == 10.0
    assert ticks(5.0, 5.0, 4) == time_ticks(5.0, 5.0, 4) == [5.0]


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(1, 200))))
def test_no_label_meets_another_nor_a_line_that_hangs_from_one(
    raw: list[tuple[float, float]],
) -> None:
    spans = sorted((start, start + length) for start, length in raw)
    chosen = rows(spans)
    for later, (start, _) in enumerate(spans):
        for earlier in range(later):
            begins, ends = spans[earlier]
            covers = begins < start < ends
            assert not (covers and chosen[earlier] >= chosen[later])


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from(Kind), st.text(max_size=60)), min_size=1)
)
def test_every_word_beside_a_mark_ends_within_the_picture(
    raw: list[tuple[float, Kind, str]],
) -> None:
    moments = sorted(
        (Moment(at=at, kind=kind, label=said) for at, kind, said in raw), key=lambda m: m.at
    )
    for size in FULL:
        free = margin(moments, 0.0, 100.0, size, 52.0)
        x = Linear(0.0, 100.0, 52.0, size.width - free)
        labels = place(moments, x, size)
        assert len(labels) == len(moments)
        assert all(x(one.mark.at) + wide(one.words) <= size.width for one in labels)
        swaps = [one.row for one in labels if one.mark.kind is not Kind.KILL]
        assert all(row <= MOST_ROWS for row in swaps)


def answer(started: float, latency_s: float, status: int) -> Answer:
    return Answer(photo="", started=started, latency_s=latency_s, status=status)


requests = st.lists(
    st.builds(
        answer,
        st.floats(100, 500),
        st.floats(0.001, 2.0),
        st.sampled_from([200, 200, 200, 503, 0]),
    )
)


@given(requests, st.floats(1, 30))
def test_no_request_is_lost_in_a_bucket(answers: list[Answer], size: float) -> None:
    found = buckets.latencies(answers, 100.0, size)
    assert sum(bucket.n + bucket.failed for bucket in found) == len(answers)
    assert sum(bucket.failed for bucket in found) == sum(one.failed for one in answers)
    assert all(before.start < after.start for before, after in pairwise(found))
    for bucket in found:
        if bucket.n:
            assert bucket.low_ms is not None
            assert bucket.median_ms is not None
            assert bucket.high_ms is not None
            assert bucket.low_ms <= bucket.median_ms <= bucket.high_ms
        else:
            assert bucket.median_ms is None


@given(requests)
def test_a_run_of_buckets_never_bridges_a_gap(answers: list[Answer]) -> None:
    found = buckets.latencies(answers, 100.0, 1.0)
    joined = buckets.runs(found)
    assert [one for run in joined for one in run] == [one for one in found if one.n]
    assert all(left.end == right.start for run in joined for left, right in pairwise(run))


@given(requests)
def test_the_slowest_are_a_hundredth_and_slower_than_all_others(answers: list[Answer]) -> None:
    slow = buckets.slowest(answers)
    good = sorted(one.latency_s for one in answers if not one.failed)
    assert len(slow) == round(len(good) / 100)
    assert sorted(one.latency_s for one in slow) == good[len(good) - len(slow) :]


def test_a_bucket_of_right_answers_is_one_releases_own() -> None:
    judged = [Judged(at=10.0 + i, right=i < 2, generation=1 + i // 2) for i in range(4)]
    first, second = buckets.shares(judged, 10.0, 60.0)
    assert (first.value, first.n, second.value, second.n) == (1.0, 2, 0.0, 2)
    assert first.low < first.high == 1.0
    with pytest.raises(ValueError, match="at least one"):
        buckets.share([], 0.0)


@given(st.floats(0.1, 1e6))
def test_a_long_story_has_no_more_buckets_than_a_screen_shows(span: float) -> None:
    assert span / buckets.width(span) <= buckets.MOST_BUCKETS
