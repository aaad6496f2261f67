"""Contracts of `feedback.erasure` and of the desk's query."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.raw_log import ManifestConflict, SqlManifest, stem
from burnish.adapters.sql.unit import SqlUnit
from burnish.feedback.erasure import Erasure, Scope, Tombstone
from burnish.kernel.digest import digest
from burnish.kernel.errors import InvalidInput
from support.databases import saved
from support.samples import NOON, later, prediction, raw_object, said

Units = Callable[..., SqlUnit]
PHOTO, OTHER = digest(b"photo"), digest(b"other")


def erasure(id_: str = "e-1", **changes: Any) -> Erasure:
    fields = {
        "id": id_,
        "at": NOON,
        "actor": "kim",
        "reason": "case 12",
        "records": 1,
        "datasets": ("laundry@1",),
        "models": ("laundry 1.0.0",),
    }
    return Erasure(**(fields | changes))


def tombstone(id_: str, erasure_: str = "e-1", **changes: Any) -> Tombstone:
    fields = {
        "source": "app",
        "id": id_,
        "erasure": erasure_,
        "model": "laundry",
        "payload_sha256": PHOTO,
        "at": NOON,
    }
    return Tombstone(**(fields | changes))


def test_a_request_and_its_tombstones_are_kept_until_they_are_finished(unit: Units) -> None:
    first, second = erasure(), erasure("e-2", at=later(1))
    bare = tombstone("b", payload_sha256=None)
    with saved(unit()) as stores:
        stores.tombstones.add(first, [tombstone("a"), bare])
        stores.tombstones.add(second, [tombstone("a", "e-2"), tombstone("c", "e-2", model="face")])
    with unit(reads_only=True) as stores:
        kept = stores.tombstones
        assert kept.identities("laundry") == {("app", "a"), ("app", "b")}
        assert sorted(kept.of("e-1"), key=lambda one: one.id) == [tombstone("a"), bare]
        assert kept.of("e-2") == [tombstone("c", "e-2", model="face")]  # "a" was erased before
        assert kept.find("app", "b") == bare
        assert kept.find("other", "b") is None
        assert kept.payloads([PHOTO, OTHER]) == {PHOTO}
        assert kept.since("laundry", NOON)
        assert not kept.since("laundry", NOON + timedelta(seconds=1))
        assert kept.unfinished() == [first, second]
        assert kept.newest(limit=1) == [second]
    done = erasure(finished_at=later(2), payloads_removed=1)
    with saved(unit()) as stores:
        stores.tombstones.finish(done)
    with unit(reads_only=True) as stores:
        assert stores.tombstones.unfinished() == [second]
        assert stores.tombstones.newest(limit=9) == [second, done]


def test_verdicts_in_scope_are_found_and_forgotten_and_late_copies_not_kept(unit: Units) -> None:
    one, same = said(1, subject_id="s"), said(2, subject_id="s", model="face")
    other = said(3, subject_id="t")
    with saved(unit()) as stores:
        stores.feedback.add([one, same, other])
    with unit(reads_only=True) as stores:
        assert stores.feedback.in_scope(Scope(subject="s")) == [one, same]
        assert stores.feedback.in_scope(Scope(subject="s", model="face")) == [same]
        assert stores.feedback.in_scope(Scope(source=one.source, id=one.id)) == [one]
        assert stores.feedback.in_scope(Scope(subject="nobody")) == []
    with saved(unit()) as stores:
        stores.tombstones.add(erasure(), [tombstone(one.id, source=one.source)])
        stores.feedback.forget({one.identity})
    with saved(unit()) as stores:
        assert stores.feedback.add([one]) == set()
        assert stores.feedback.in_scope(Scope(subject="s")) == [same]


@pytest.mark.parametrize(
    "scope",
    [Scope(), Scope(subject="s", source="a", id="i"), Scope(source="a"), Scope(id="i")],
)
def test_a_scope_names_a_subject_or_one_record(scope: Scope) -> None:
    with pytest.raises(InvalidInput):
        scope.check()


def test_payloads_that_are_judged_by_uri_or_by_prediction_are_needed(
    unit: Units, engine: Engine
) -> None:
    SqlPredictions(engine).append([prediction(1, payload_sha256=OTHER)])
    with saved(unit()) as stores:
        stores.feedback.add(
            [said(1, payload=f"burnish:{PHOTO}"), said(2, payload=None, prediction_id="3.1")]
        )
    with unit(reads_only=True) as stores:
        wanted = [PHOTO, OTHER, digest(b"third")]
        assert stores.feedback.judging(wanted) == {PHOTO, OTHER}
        assert stores.feedback.judging([]) == set()


def test_subjects_and_payloads_with_two_labels_are_disputed(unit: Units, engine: Engine) -> None:
    SqlPredictions(engine).append([prediction(1, payload_sha256=PHOTO)])
    quarrel = [said(1, subject_id="s", final="good"), said(2, subject_id="s", final="defect")]
    twins = [
        said(3, subject_id="t", final="good", payload=f"burnish:{PHOTO}"),
        said(4, subject_id="u", final="defect", payload=None, prediction_id="3.1"),
    ]
    agreed = [said(5, subject_id="v", final="good"), said(6, subject_id="v", final="good")]
    foreign = said(7, subject_id="s", final="defect", model="face")
    with saved(unit()) as stores:
        stores.feedback.add([*quarrel, *twins, *agreed, foreign])
    with unit(reads_only=True) as stores:
        found = stores.feedback.disputed("laundry", limit=10)
    assert sorted(found, key=lambda verdict: verdict.place) == [*quarrel, *twins]


def test_an_object_that_was_rewritten_takes_the_place_of_the_old_one(engine: Engine) -> None:
    manifest = SqlManifest(engine)
    old = raw_object(0, 9)
    manifest.commit(old)
    new = raw_object(0, 9, key=f"{stem(old.key)}.0a1b.ndjson.zst", sha256=digest(b"new"), bytes=7)
    manifest.replace(old, new)
    assert manifest.all() == [new]
    manifest.commit(old)  # a front that died before it knew that it was listed
    assert manifest.all() == [new]
    with pytest.raises(ManifestConflict):
        manifest.replace(old, new)
