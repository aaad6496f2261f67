"""Nobody makes more of the corrections than their share, whatever the others do."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.model import Example, Reason
from burnish.datasets.shares import allowance, over_share
from burnish.feedback.verdict import Verdict

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
COUNTS = st.dictionaries(st.text(max_size=3), st.integers(1, 500), max_size=12)


def correction(number: int, actor: str | None, *, corrected: bool = True) -> Example:
    verdict = Verdict(
        source="app",
        id=f"id-{number}",
        shard="0",
        offset=number,
        model="laundry",
        subject_id=f"s{number}",
        final="good",
        corrected=corrected,
        occurred_at=NOON + timedelta(seconds=number),
        received_at=NOON,
        actor=actor,
    )
    return Example(verdict=verdict, payload_sha256=f"sha256:{number:064x}", uncertain=False)


@given(counts=COUNTS, share=st.floats(0, 1))
def test_what_remains_keeps_the_share_or_is_an_equal_part(
    counts: dict[str | None, int], share: float
) -> None:
    cap = allowance(counts, share)
    kept = [min(count, cap) for count in counts.values()]
    if counts:
        assert max(kept) <= max(share, 1 / len(counts)) * sum(kept) + 1e-6


@given(counts=COUNTS.filter(bool))
def test_nobody_is_capped_where_each_may_have_all(counts: dict[str | None, int]) -> None:
    assert allowance(counts, 1) >= max(counts.values())


def test_a_lone_actor_is_not_capped_and_records_without_one_are_one_actors() -> None:
    assert not over_share([correction(n, "kim") for n in range(50)], 0.3)
    unnamed = [correction(n, None) for n in range(90)]
    named = [correction(100 + n, f"person-{n}") for n in range(10)]
    assert len(over_share(unnamed + named, 0.3)) == 86


def test_those_that_happened_first_count_whatever_their_order() -> None:
    said = [correction(n, "kim") for n in range(90)]
    said += [correction(100 + n, f"person-{n}") for n in range(10)]
    over = over_share(said, 0.3)
    assert set(over) == {("0", number) for number in range(4, 90)}
    assert set(over.values()) == {Reason.ACTOR_SHARE}
    assert over_share(Random(1).sample(said, len(said)), 0.3) == over


def test_what_counts_goes_on_counting_while_others_come() -> None:
    said = [correction(n, "kim") for n in range(90)]
    before = {example.verdict.place for example in said}
    for number in range(10, 60, 10):
        others = [correction(100 + n, f"person-{n % 9}") for n in range(number)]
        left = set(over_share(said + others, 0.3))
        assert left <= before
        before = left


def test_confirmations_and_held_out_subjects_neither_count_nor_are_counted() -> None:
    said = [correction(n, "kim", corrected=False) for n in range(90)]
    exam = [correction(100 + n, "kim") for n in range(90)]
    others = [correction(200 + n, f"person-{n}") for n in range(10)]
    held = frozenset(example.subject for example in exam)
    assert not over_share(said + exam + others, 0.3, exempt=held)
