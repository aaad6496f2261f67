"""Contracts of `feedback.ports`: FeedbackStore (the projection) and Manifest (the raw log's)."""

from collections.abc import Callable
from random import Random

import pytest
from sqlalchemy import Engine

from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.unit import SqlUnit
from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.errors import Conflict, Stale
from support.concurrency import at_once
from support.databases import saved
from support.samples import later, raw_object, said

Units = Callable[..., SqlUnit]
ALL = dict.fromkeys(("0", "1", "a-b", "ab"), 1000)  # beyond every offset of every shard here


def kept(unit: Units, model: str = "laundry") -> list[Verdict]:
    with unit(reads_only=True) as stores:
        found = stores.feedback.on_touched_subjects(model, {}, ALL)
    return sorted(found, key=lambda verdict: verdict.place)


def add(unit: Units, *verdicts: Verdict) -> set[str]:
    with saved(unit()) as stores:
        return stores.feedback.add(verdicts)


def test_a_verdict_is_found_as_it_was_added(unit: Units) -> None:
    full = said(1, prediction_id="3.1", selection=Selection.RANDOM, payload="burnish:sha256:0")
    bare = said(2, predicted=None, actor=None, model="other")
    assert add(unit, full, bare) == {"laundry", "other"}
    assert kept(unit) == [full]
    assert kept(unit, "other") == [bare]
    assert add(unit) == set()


def test_touched_subjects_come_with_everything_that_was_said_of_them(unit: Units) -> None:
    old, again = said(1), said(5, subject_id="s1")
    elsewhere = said(3, shard="1", id="elsewhere", subject_id="s9")
    add(unit, old, said(2), again, elsewhere)

    def touched(since: dict[str, int], upto: dict[str, int] = ALL) -> list[Verdict]:
        with unit(reads_only=True) as stores:
            found = stores.feedback.on_touched_subjects("laundry", since, upto)
            assert stores.feedback.has_news("laundry", since, upto) == bool(found)
            assert not stores.feedback.has_news("curtains", since, upto)
        return sorted(found, key=lambda verdict: verdict.place)

    assert touched({"0": 5, "1": 9}) == [old, again]
    assert touched({"0": 6, "1": 9}) == []
    assert touched({"0": 6}) == [elsewhere]  # a shard that is not named is all news
    assert touched({"0": 1}, {"0": 5}) == [old, said(2)]  # as it was then
    assert touched({}, {}) == []


def test_a_subject_with_much_news_in_one_shard_comes_once(unit: Units) -> None:
    add(unit, *(said(number, subject_id="s1") for number in range(3)))
    assert len(kept(unit)) == 3


@pytest.mark.parametrize("seed", range(4))
def test_of_copies_the_first_received_stays_in_whatever_order_they_come(
    unit: Units, seed: int
) -> None:
    first = said(1, id="same", shard="a-b", received_at=later(1))
    copies = [
        first,
        said(2, id="same", shard="ab", received_at=later(1)),  # by bytes, "-" is less than "b"
        said(3, id="same", shard="0", received_at=later(2)),
        said(4, id="same", shard="0", received_at=later(3)),
    ]
    Random(seed).shuffle(copies)
    for copy in copies:
        add(unit, copy)
    assert kept(unit) == [first]
    assert add(unit, *copies) == set()  # no news


def test_copies_in_one_batch_count_once(unit: Units) -> None:
    add(unit, said(3, id="same"), said(1, id="same"), said(2, id="same"))
    assert kept(unit) == [said(1, id="same")]


def test_shards_that_hold_the_same_records_are_projected_at_once(unit: Units) -> None:
    def project(shard: int) -> None:
        batch = [
            said(number, id=f"{number % 50}", shard=f"{shard}", received_at=later(shard))
            for number in range(100)
        ]
        Random(shard).shuffle(batch)
        add(unit, *batch)

    _, errors = at_once(project)
    assert errors == []
    assert [(v.shard, v.id) for v in kept(unit)] == [("0", f"{number}") for number in range(50)]


def test_an_offset_moves_only_from_where_it_stands(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.feedback.advance("0", expected=0, to=10)
        stores.feedback.advance("0", expected=10, to=15)
        assert stores.feedback.offsets() == {"0": 15}
    for wrong in (0, 10, 16):
        with unit() as stores, pytest.raises(Stale):
            stores.feedback.advance("0", expected=wrong, to=20)
    with unit() as stores, pytest.raises(Stale):
        stores.feedback.advance("1", expected=3, to=20)


@pytest.mark.parametrize("start", [0, 10])
def test_of_projections_of_a_batch_at_once_exactly_one_counts(unit: Units, start: int) -> None:
    if start:
        with saved(unit()) as stores:
            stores.feedback.advance("0", expected=0, to=start)

    def project(number: int) -> None:
        with saved(unit()) as stores:
            stores.feedback.advance("0", expected=start, to=start + 1)
            stores.feedback.add([said(number)])

    done, errors = at_once(project)
    assert len(done) == 1
    assert {type(error) for error in errors} == {Stale}
    assert len(kept(unit)) == 1


def test_the_manifest_lists_what_was_committed(engine: Engine) -> None:
    manifest = SqlManifest(engine)
    one, two, other = raw_object(0, 9), raw_object(10, 19), raw_object(0, 4, "1")
    for entry in (one, two, other, two):
        manifest.commit(entry)
    assert manifest.end() == {"0": 20, "1": 5}
    assert manifest.covering("0", 5, 11) == [one, two]
    assert manifest.covering("0", 10, 11) == [two]
    assert manifest.covering("0", 20, 30) == []


@pytest.mark.parametrize(
    "wrong", [raw_object(11, 19), raw_object(5, 19), raw_object(0, 9, key="other")]
)
def test_the_manifest_has_no_gap_and_no_overlap(engine: Engine, wrong: object) -> None:
    manifest = SqlManifest(engine)
    manifest.commit(raw_object(0, 9))
    with pytest.raises(Conflict):
        manifest.commit(wrong)  # type: ignore[arg-type]
    assert manifest.end() == {"0": 10}


def test_the_same_object_may_be_committed_twice_at_once(engine: Engine) -> None:
    _, errors = at_once(lambda _: SqlManifest(engine).commit(raw_object(0, 9)))
    assert errors == []


def test_of_objects_that_begin_alike_exactly_one_is_listed(engine: Engine) -> None:
    def commit(number: int) -> int:
        SqlManifest(engine).commit(raw_object(0, number))
        return number

    done, errors = at_once(commit)
    assert len(done) == 1
    assert all(isinstance(error, Conflict) for error in errors), errors
    assert SqlManifest(engine).end() == {"0": done[0] + 1}
