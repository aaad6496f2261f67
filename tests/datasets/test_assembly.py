"""What must hold for any history: order never matters, nothing changes side."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from burnish.datasets.assembly import Assembled, assemble
from burnish.datasets.model import (
    ClassTooSmall,
    DatasetError,
    EmptySplit,
    LabelOutsideSet,
    Reason,
    Split,
)
from burnish.datasets.splits import HOLDOUT_SHARE_MAX, Ledger
from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest
from burnish.kernel.policy import DatasetPolicy, ModelPolicy
from support.samples import policy as laundry
from support.verdicts import NOON, arrive, records

SEEDS = st.integers(min_value=0, max_value=2**32)


def policy(**dataset: object) -> ModelPolicy:
    return laundry(dataset={"holdout": 30, "validation": 0.2} | dataset)


@given(seed=SEEDS, source=st.sampled_from(["", "gold"]))
@settings(max_examples=40, deadline=None)
def test_order_of_arrival_copies_and_shards_never_change_the_digest(seed: int, source: str) -> None:
    random = Random(seed)
    said = records(random, 300, subjects=200)
    rules = policy(holdout_source=source)
    parent = Ledger()
    one = assemble(arrive(said, random, shards=1), rules, parent, predictions={})
    other = assemble(arrive(said, random, shards=4), rules, parent, predictions={})
    assert (one.digest, one.rows, one.ledger) == (other.digest, other.rows, other.ledger)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_records_that_quarrel_over_an_identity_do_not_care_for_shards(seed: int) -> None:
    random = Random(seed)
    said = [
        structs.replace(verdict, id=f"id-{verdict.offset % 150}")
        for verdict in records(random, 200, subjects=150)
    ]
    moved = [
        structs.replace(verdict, shard=random.choice("abc"))
        for verdict in random.sample(said, len(said))
    ]
    rows = [assemble(lines, policy(), Ledger(), predictions={}).rows for lines in (said, moved)]
    assert rows[0] == rows[1]


@given(seed=SEEDS, source=st.sampled_from(["", "gold"]))
@settings(max_examples=10, deadline=None)
def test_over_50_growing_versions_nothing_that_trained_is_ever_held_out_nor_back(
    seed: int, source: str
) -> None:
    random = Random(seed)
    rules = policy(holdout_source=source)
    ledger = Ledger(holdout_source=source)
    log: list[Verdict] = []
    trained: set[str] = set()
    held: set[str] = set()
    validates: dict[str, Split] = {}
    versions = 0
    while versions < 50:
        log += records(random, random.randrange(1, 30), subjects=250, first=len(log))
        try:
            built = assemble(log, rules, ledger, predictions={})
        except DatasetError:
            assert len(log) < 200
            continue
        versions += 1
        ledger = built.ledger
        for row in built.rows:
            names = {row.subject, row.payload_sha256}
            if row.split is Split.HOLDOUT:
                held |= names
            else:
                trained |= names
                assert validates.setdefault(row.subject, row.split) is row.split
        assert not trained & held
        assert every_line_is_accounted_for(built, log)
        assert no_uncertainty_is_held_out(built, log)
        if source:
            gold = {verdict.subject_id for verdict in log if verdict.source == source}
            assert all((row.split is Split.HOLDOUT) == (row.subject in gold) for row in built.rows)


def every_line_is_accounted_for(built: Assembled, log: list[Verdict]) -> bool:
    assert [(fate.shard, fate.offset) for fate in built.fates] == sorted(
        verdict.place for verdict in log
    )
    in_splits = [fate for fate in built.fates if fate.split is not None]
    assert {fate.subject: fate.split for fate in in_splits} == {
        row.subject: row.split for row in built.rows
    }
    return all((fate.split is None) != (fate.reason is None) for fate in built.fates)


def no_uncertainty_is_held_out(built: Assembled, log: list[Verdict]) -> bool:
    chosen = {verdict.place: verdict.selection for verdict in log}
    return not any(
        chosen[fate.shard, fate.offset] is Selection.UNCERTAINTY
        for fate in built.fates
        if fate.split is Split.HOLDOUT
    )


def test_the_holdout_grows_with_the_data_to_its_size_and_then_stays() -> None:
    random, ledger, log, sizes = Random(1), Ledger(), [], []
    for _ in range(8):
        log += records(random, 60, subjects=5000, first=len(log))
        built = assemble(log, policy(), ledger, predictions={})
        ledger = built.ledger
        splits = Counter(row.split for row in built.rows)
        sizes.append(splits[Split.HOLDOUT])
        assert splits[Split.HOLDOUT] <= HOLDOUT_SHARE_MAX * len(built.rows)
    assert sizes == sorted(sizes)
    assert sizes[-1] == 30


def test_building_on_top_of_itself_changes_nothing() -> None:
    log = records(Random(2), 400, subjects=200)
    first = assemble(log, policy(), Ledger(), predictions={})
    again = assemble(log, policy(), first.ledger, predictions={})
    assert (again.digest, again.ledger) == (first.digest, first.ledger)


def test_a_new_holdout_source_begins_an_epoch_in_which_the_old_holdout_may_train() -> None:
    log = records(Random(3), 600, subjects=300)
    first = assemble(log, policy(), Ledger(), predictions={})
    was_held = {row.subject for row in first.rows if row.split is Split.HOLDOUT}
    fresh = [
        structs.replace(
            verdict,
            source="exam",
            id=f"exam-{verdict.id}",
            subject_id=f"exam-{verdict.subject_id}",
            payload=f"burnish:{digest(f'exam-{verdict.subject_id}'.encode())}",
            offset=verdict.offset + len(log),
            actor="kim",
        )
        for verdict in log[:20]
        if verdict.selection is None
    ]
    second = assemble(log + fresh, policy(holdout_source="exam"), first.ledger, predictions={})
    assert second.ledger.epoch == 2
    assert {row.subject for row in second.rows if row.split is Split.HOLDOUT} == {
        verdict.subject_id for verdict in fresh
    }
    assert was_held & second.ledger.trained_subjects


def test_a_subject_that_trained_is_left_out_when_the_holdout_source_claims_it() -> None:
    log = records(Random(4), 300, subjects=200)
    log = [structs.replace(verdict, source="app") for verdict in log]
    rules = policy(holdout_source="exam")
    exam = [
        structs.replace(log[0], source="exam", id=f"e{n}", subject_id=f"e{n}", offset=1000 + n,
                        payload=f"burnish:{digest(b'e%d' % n)}", selection=None, actor="kim")
        for n in range(5)
    ]  # fmt: skip
    first = assemble(log + exam, rules, Ledger(holdout_source="exam"), predictions={})
    victim = next(row for row in first.rows if row.split is Split.TRAIN)
    claim = structs.replace(
        exam[0],
        id="claim",
        subject_id=victim.subject,
        payload=f"burnish:{victim.payload_sha256}",
        final=victim.label,
        offset=2000,
        occurred_at=NOON + timedelta(days=9),
    )
    second = assemble([*log, *exam, claim], rules, first.ledger, predictions={})
    assert victim.subject not in {row.subject for row in second.rows}
    reasons = {fate.reason for fate in second.fates if fate.subject == victim.subject}
    assert Reason.TRAINED_BEFORE in reasons


def test_a_class_with_too_few_examples_is_named_with_its_count_and_the_minimum() -> None:
    log = [
        structs.replace(verdict, final="good", payload=f"burnish:{digest(verdict.id.encode())}")
        for verdict in records(Random(5), 100, subjects=1000)
    ]
    with pytest.raises(ClassTooSmall, match="0 training examples of 'defect' and needs 5") as error:
        assemble(log, policy(), Ledger(), predictions={})
    assert error.value.facts == {"label": "defect", "count": 0, "minimum": 5}


def test_a_label_outside_the_set_is_named_with_its_subject() -> None:
    log = records(Random(6), 100, subjects=1000)
    odd = structs.replace(log[0], subject_id="odd", final="torn", id="odd", offset=500,
                          payload=f"burnish:{digest(b'odd')}")  # fmt: skip
    with pytest.raises(LabelOutsideSet, match="subject 'odd' is 'torn'"):
        assemble([*log, odd], policy(), Ledger(), predictions={})


def test_a_holdout_that_only_uncertainty_could_fill_is_refused_with_what_to_do() -> None:
    log = [
        structs.replace(verdict, selection=Selection.UNCERTAINTY)
        for verdict in records(Random(7), 200, subjects=200)
    ]
    with pytest.raises(EmptySplit, match=r"set `dataset\.holdout` to 0"):
        assemble(log, policy(), Ledger(), predictions={})
    assert assemble(log, policy(holdout=0), Ledger(), predictions={}).rows


def test_an_absent_holdout_source_is_refused_by_name() -> None:
    log = records(Random(8), 200, subjects=200)
    with pytest.raises(EmptySplit, match="comes from 'exam'"):
        assemble(log, policy(holdout_source="exam"), Ledger(), predictions={})


def test_defaults_of_the_policy_hold_300_subjects() -> None:
    assert DatasetPolicy().holdout == 300


def test_a_newcomer_with_the_same_photo_does_not_push_out_the_one_that_is_known() -> None:
    log = [
        structs.replace(verdict, payload=f"burnish:{digest(verdict.subject_id.encode())}")
        for verdict in records(Random(9), 300, subjects=200)
    ]
    first = assemble(log, policy(), Ledger(), predictions={})
    for split in Split:
        known = next(row for row in first.rows if row.split is split)
        newcomer = structs.replace(
            log[0],
            id="new",
            subject_id="a-newcomer",
            payload=f"burnish:{known.payload_sha256}",
            final=known.label,
            offset=900,
        )
        second = assemble([*log, newcomer], policy(), first.ledger, predictions={})
        assert second.rows == first.rows
        assert second.fates[-1].reason is Reason.NEAR_DUPLICATE
