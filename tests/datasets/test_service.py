"""Dataset versions on a real database and object store."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from msgspec import structs
from sqlalchemy import func, select

from burnish.adapters.sql.schema import audit, datasets, outbox
from burnish.datasets.digests import rows_digest
from burnish.datasets.manifest import manifest_key
from burnish.datasets.model import (
    ClassTooSmall,
    DatasetCorrupt,
    DatasetNotFound,
    OffsetsAhead,
    Reason,
    Split,
)
from burnish.feedback.model import FeedbackRecord
from burnish.kernel.digest import digest
from burnish.kernel.errors import Stale
from burnish.kernel.ids import DatasetId
from burnish.kernel.policy import ModelPolicy
from support.samples import policy as laundry
from support.samples import prediction

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py

GIVEN = "1.01890000-0000-7000-8000-00000000000a"
NEVER_GIVEN = "1.01890000-0000-7000-8000-00000000000b"


def policy(**dataset: object) -> ModelPolicy:
    return laundry(
        dataset={"holdout": 10, "validation": 0.2} | dataset,
    )


def people_judge(world: World, about: About, numbers: range, **changes: Any) -> None:
    world.say(
        *(
            about(
                f"subject-{number}",
                "good" if number % 2 else "defect",
                payload=world.photo(f"photo-{number}"),
                **changes,
            )
            for number in numbers
        )
    )


def rows_in(world: World, table: Any) -> int:
    with world.engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return int(count)


def test_a_build_leaves_a_version_that_reads_back_whole(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    dataset = world.service.build(policy(), world.raw_log.end())
    assert (dataset.id, dataset.parent, dataset.offsets) == ("laundry@1", None, {"0": 60})
    assert world.service.get(dataset.id) == dataset
    rows = list(world.service.rows(dataset))
    assert [row.subject for row in rows] == sorted(f"subject-{number}" for number in range(60))
    assert sum(sum(labels.values()) for labels in dataset.counts.values()) == 60
    assert sum(dataset.counts["holdout"].values()) == 10
    manifest = world.service.manifest(dataset)
    assert rows_digest(rows, policy().digest) == dataset.digest
    assert manifest.sources[0].offsets == {"0": 60}
    assert manifest.tools == {"burnish": "test"}
    assert manifest.corrections.effective == dataset.corrections == 50


def test_a_version_leaves_an_audit_row_and_an_event(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    world.service.build(policy(), world.raw_log.end())
    assert (rows_in(world, audit), rows_in(world, outbox)) == (1, 1)


def test_the_same_inputs_return_the_version_that_they_made(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    first = world.service.build(policy(), {"0": 60})
    people_judge(world, about, range(60, 80))
    second = world.service.build(policy(), {"0": 80})
    assert (second.id, second.parent) == ("laundry@2", "laundry@1")
    assert world.service.build(policy(), {"0": 60}) == first
    assert world.service.build(policy(), {"0": 80}) == second
    assert world.service.versions("laundry") == [second, first]


def test_new_records_that_change_no_row_make_no_new_version(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    first = world.service.build(policy(), {"0": 60})
    people_judge(world, about, range(5))
    assert world.service.build(policy(), {"0": 65}) == first
    assert rows_in(world, datasets) == 1


def test_records_beyond_the_offsets_and_of_other_models_are_not_in_it(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    people_judge(world, about, range(60, 90), model="curtains")
    people_judge(world, about, range(90, 99))
    dataset = world.service.build(policy(), {"0": 90})
    assert len(list(world.service.rows(dataset))) == 60


def test_a_version_counts_the_corrections_that_are_new_since_any_offsets(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    world.service.build(policy(holdout=0), {"0": 60})
    people_judge(world, about, range(60, 75))
    people_judge(world, about, range(75, 80), corrected=False, predicted="good")
    world.say("no record", '{"source": "app"}')
    second = world.service.build(policy(holdout=0), {"0": 75})
    assert world.service.manifest(second).corrections.since_parent == 15
    assert world.service.effective_since(second, {"0": 60}) == 15
    assert world.service.effective_since(second, {"0": 70}) == 5
    assert second.corrections == 75


def test_a_record_is_resolved_through_its_prediction_or_left_out_with_its_reason(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    world.photo("seen")
    world.predictions.append([prediction(1, id=GIVEN, payload_sha256=digest(b"seen"))])
    world.say(
        about("known", "good", payload=None, prediction_id=GIVEN),
        about("unknown", "good", payload=None, prediction_id=NEVER_GIVEN),
        about("gone", "good", payload=f"burnish:{digest(b'never stored')}"),
    )
    world.say("no record")
    dataset = world.service.build(policy(), world.raw_log.end())
    assert "known" in {row.subject for row in world.service.rows(dataset)}
    assert dataset.left_out == {
        Reason.PAYLOAD_MISSING: 1,
        Reason.PREDICTION_UNKNOWN: 1,
        Reason.UNREADABLE: 1,
    }
    fates = {fate.subject: fate for fate in world.service.fates(dataset)}
    assert fates["gone"].reason is Reason.PAYLOAD_MISSING
    assert fates["known"].split in set(Split)


def test_offsets_that_are_not_persisted_yet_are_refused(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    with pytest.raises(OffsetsAhead, match="persisted up to offset 60, not 61: seal"):
        world.service.build(policy(), {"0": 61})


def test_a_build_that_fails_leaves_nothing_to_see(world: World, about: About) -> None:
    people_judge(world, about, range(6))
    with pytest.raises(ClassTooSmall, match="send verdicts on more"):
        world.service.build(policy(), {"0": 6})
    assert rows_in(world, datasets) == 0
    assert list(world.objects.list("datasets/")) == []


class PowerCut(Exception):
    pass


class FailingObjects:
    """An object store whose process dies at its n-th `put`."""

    def __init__(self, objects: Any, survives: int) -> None:
        self._objects = objects
        self._left = survives

    def put(self, key: str, *parts: bytes) -> None:
        if self._left == 0:
            raise PowerCut
        self._left -= 1
        self._objects.put(key, *parts)

    def get(self, key: str) -> bytes:
        return bytes(self._objects.get(key))

    def exists(self, key: str) -> bool:
        return bool(self._objects.exists(key))

    def list(self, prefix: str) -> Any:
        return self._objects.list(prefix)

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: Any) -> str:
        return str(self._objects.presign(key, method, lifetime))


def test_wherever_a_build_dies_nothing_half_built_is_seen_and_the_next_one_succeeds(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    for survives in range(3):
        dying = replace(world.service, objects=FailingObjects(world.objects, survives))
        with pytest.raises(PowerCut):
            dying.build(policy(), world.raw_log.end())
        assert rows_in(world, datasets) == 0
        # More records that add no row: equal digest, other offsets, other manifest and fates.
        people_judge(world, about, range(survives, survives + 1))
    dataset = world.service.build(policy(), world.raw_log.end())
    assert manifest_key(dataset.digest, dataset.manifest) in set(world.objects.list("datasets/"))
    assert len(list(world.service.rows(dataset))) == 60


def test_a_build_that_another_build_overtook_builds_on_top_of_it(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    people_judge(world, about, range(60, 80))

    class Overtaken(FailingObjects):
        def put(self, key: str, *parts: bytes) -> None:
            if self._left > 0:
                self._left = 0
                world.service.build(policy(), {"0": 60})
            self._objects.put(key, *parts)

    service = replace(world.service, objects=Overtaken(world.objects, 1))
    dataset = service.build(policy(), {"0": 80})
    assert (dataset.id, dataset.parent) == ("laundry@2", "laundry@1")


def test_bytes_that_changed_in_the_store_are_not_handed_out(world: World, about: About) -> None:
    people_judge(world, about, range(60))
    dataset = world.service.build(policy(), world.raw_log.end())
    with pytest.raises(DatasetCorrupt):
        list(world.service.rows(structs.replace(dataset, policy_digest=digest(b"other"))))


def test_an_unknown_version_is_not_found(world: World) -> None:
    with pytest.raises(DatasetNotFound):
        world.service.get(DatasetId("laundry@7"))


def test_the_store_refuses_a_version_whose_parent_is_not_the_newest(
    world: World, about: About
) -> None:
    people_judge(world, about, range(60))
    first = world.service.build(policy(), world.raw_log.end())
    orphan = structs.replace(first, id=DatasetId("laundry@2"), number=2)
    with pytest.raises(Stale), world.unit() as unit:
        unit.datasets.add(orphan)
    assert rows_in(world, datasets) == 1
    with world.unit() as unit:
        unit.datasets.add(structs.replace(orphan, parent=first.id))
        unit.commit()
    assert [version.number for version in world.service.versions()] == [2, 1]
