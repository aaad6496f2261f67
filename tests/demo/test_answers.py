"""Given what serving answered, when it is added up, then nothing is flattered."""

import msgspec
import pytest

from burnish.demo.answers import Answer, mixed, percentile, summarise, swap_times

KNOWN = {("r1", 1, "1.0.0"), ("r2", 2, "1.1.0")}


def answer(started: float = 0.0, *, generation: int = 1, **changes: object) -> Answer:
    plain = Answer(
        photo="cell.png",
        started=started,
        latency_s=0.010,
        status=200,
        release=f"r{generation}",
        generation=generation,
        model_version=f"1.{generation - 1}.0",
        prediction_id=f"{generation}.0192",
        label="good",
        probabilities={"good": 0.5 + generation / 10, "defect": 0.5 - generation / 10},
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)]
)
def test_a_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == value


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 0.5)


def test_answers_of_releases_that_existed_are_not_mixed() -> None:
    assert not mixed([answer(), answer(generation=2), answer()], KNOWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_version": "1.1.0"},
        {"release": "r2"},
        {"release": "r1", "generation": 2, "model_version": "1.0.0", "prediction_id": "2.0192"},
        {"prediction_id": "2.0192"},
        {"release": "r9", "generation": 9, "model_version": "9.0.0", "prediction_id": "9.0192"},
    ],
)
def test_an_answer_with_parts_of_two_releases_is_mixed(changes: dict[str, object]) -> None:
    odd = msgspec.structs.replace(answer(), **changes)
    assert mixed([answer(), odd], KNOWN) == [odd]


def test_an_answer_with_another_releases_numbers_is_mixed() -> None:
    odd = answer(probabilities=answer(generation=2).probabilities)
    assert mixed([answer(), answer(generation=2), odd], KNOWN) == [odd]


def test_batching_may_move_the_last_digits() -> None:
    near = answer(probabilities={"good": 0.6004, "defect": 0.3996})
    assert not mixed([answer(), near], KNOWN)


def test_a_failed_answer_is_failed_and_not_mixed() -> None:
    failed = Answer(photo="cell.png", started=0, latency_s=30, status=0)
    summary = summarise([answer(), failed], [], KNOWN)
    assert (summary.requests, summary.failed, summary.mixed) == (2, 1, 0)


def test_a_swap_is_when_a_later_generation_was_first_seen() -> None:
    story = [answer(0), answer(1), answer(2, generation=2), answer(1.9), answer(3, generation=2)]
    assert swap_times(story) == [pytest.approx(2.01)]


def test_latency_around_a_swap_is_reported_on_its_own() -> None:
    story = [answer(float(second)) for second in range(10)]
    story += [answer(10.0, generation=2, latency_s=0.2)]
    story += [answer(float(second), generation=2) for second in range(12, 20)]
    summary = summarise(story, [], KNOWN)
    assert summary.p50_ms == 10
    assert summary.p99_ms == 200
    assert summary.p99_swap_ms == 200


def test_requests_of_others_count_but_do_not_colour_the_latencies() -> None:
    summary = summarise([answer()], [answer(latency_s=5)], KNOWN)
    assert (summary.requests, summary.p99_ms, summary.p99_swap_ms) == (2, 10, None)
