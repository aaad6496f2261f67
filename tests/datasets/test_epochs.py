"""A holdout wears out; what replaces it has never trained, and nobody has looked at it."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from burnish.datasets.assembly import Assembled, assemble
from burnish.datasets.model import DatasetError, Reason, Split
from burnish.datasets.splits import FRESH_MIN, Ledger
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest
from burnish.kernel.policy import ModelPolicy
from support.samples import policy as laundry
from support.verdicts import arrive, records


def policy(**dataset: object) -> ModelPolicy:
    return laundry(dataset={"holdout": 30, "validation": 0.2, "actor_share": 1} | dataset)


def sides(built: Assembled) -> tuple[set[str], set[str]]:
    """Return the subjects and contents that are held out, and those that train or validate."""
    held: set[str] = set()
    trained: set[str] = set()
    for row in built.rows:
        side = held if row.split is Split.HOLDOUT else trained
        side |= {row.subject, row.payload_sha256}
    return held, trained


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.3, 1.0]))
@settings(max_examples=5, deadline=None)
def test_over_50_versions_and_many_epochs_nothing_that_trained_or_was_looked_at_is_held_out(
    seed: int, share: float
) -> None:
    random = Random(seed)
    rules = policy(actor_share=share)
    ledger = Ledger()
    log: list[Verdict] = []
    ever_trained: set[str] = set()
    retired: set[str] = set()  # held out in an epoch that has ended
    now_held: set[str] = set()
    side: dict[str, Split] = {}  # in this epoch
    versions, spent = 0, False
    while versions < 50 or ledger.epoch < 3:
        log += records(random, random.randrange(1, 40), subjects=2000, first=len(log))
        spent = spent or random.random() < 0.2
        try:
            built = assemble(log, rules, ledger, predictions={}, spent=spent)
        except DatasetError:
            assert len(log) < 300  # too few to train on
            continue
        versions += 1
        if built.ledger.epoch > ledger.epoch:
            assert spent
            retired |= now_held
            now_held, side, spent = set(), {}, False
        held, trained = sides(built)
        ever_trained |= trained
        now_held |= held
        assert not held & (ever_trained | retired)
        assert not held & trained
        for row in built.rows:
            assert side.setdefault(row.subject, row.split) is row.split
        ledger = built.ledger
        if versions % 10 == 0:
            lines = arrive(log, random, shards=3)
            again = assemble(lines, rules, ledger, predictions={})
            assert again.digest == assemble(lines[::-1], rules, ledger, predictions={}).digest


def grown(first: int, count: int) -> list[Verdict]:
    """Return verdicts on subjects of their own, none chosen by uncertainty."""
    return [
        structs.replace(
            verdict,
            subject_id=f"s{first + number}",
            payload=f"burnish:{digest(b'%d' % (first + number))}",
            final="good" if number % 2 else "defect",
            selection=None,
            source="app",
        )
        for number, verdict in enumerate(records(Random(first), count, subjects=9, first=first))
    ]


def test_a_spent_holdout_may_train_and_a_fresh_one_is_drawn_from_newcomers() -> None:
    first = assemble(log := grown(0, 300), policy(), Ledger(), predictions={})
    log += grown(300, 100)
    second = assemble(log, policy(), first.ledger, predictions={}, spent=True)
    assert second.ledger.epoch == 2
    old, _ = sides(first)
    new, trained = sides(second)
    assert old <= trained
    newcomers = {verdict.subject_id for verdict in log[300:]}
    assert {row.subject for row in second.rows if row.split is Split.HOLDOUT} <= newcomers
    assert not new & old


def test_while_too_few_could_replace_a_worn_holdout_it_stays_and_they_are_kept() -> None:
    first = assemble(log := grown(0, 300), policy(), Ledger(), predictions={})
    log += grown(300, FRESH_MIN - 1)
    second = assemble(log, policy(), first.ledger, predictions={}, spent=True)
    assert second.ledger.epoch == 1
    assert sides(second) == sides(first)
    kept = [fate for fate in second.fates if fate.reason is Reason.RESERVED]
    assert len(kept) == FRESH_MIN - 1
    log += grown(400, 1)
    third = assemble(log, policy(), second.ledger, predictions={}, spent=True)
    assert third.ledger.epoch == 2
    held = {row.subject for row in third.rows if row.split is Split.HOLDOUT}
    assert held == {verdict.subject_id for verdict in log[300:]}


def test_an_exam_is_its_owners_to_replace() -> None:
    exam = [structs.replace(verdict, source="exam") for verdict in grown(1000, 60)]
    log = grown(0, 300) + exam
    rules = policy(holdout_source="exam")
    first = assemble(log, rules, Ledger(holdout_source="exam"), predictions={})
    second = assemble(log + grown(300, 100), rules, first.ledger, predictions={}, spent=True)
    assert second.ledger.epoch == 1


@pytest.mark.parametrize("spent", [False, True])
def test_the_same_parent_and_records_give_the_same_version(spent: bool) -> None:
    first = assemble(log := grown(0, 300), policy(), Ledger(), predictions={})
    log += grown(300, 100)
    lines = arrive(log, Random(1), shards=4)
    one = assemble(log, policy(), first.ledger, predictions={}, spent=spent)
    other = assemble(lines, policy(), first.ledger, predictions={}, spent=spent)
    assert (one.digest, one.ledger) == (other.digest, other.ledger)


def test_an_erased_record_is_no_example_and_says_so() -> None:
    log = grown(0, 300)
    gone = log[7]
    built = assemble(log, policy(), Ledger(), predictions={}, erased={gone.identity})
    assert gone.subject_id not in {row.subject for row in built.rows}
    fate = next(fate for fate in built.fates if fate.offset == gone.offset)
    assert (fate.reason, fate.subject, fate.split) == ("erased", "", None)
