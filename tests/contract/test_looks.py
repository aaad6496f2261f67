"""Contract of `datasets.looks.LookStore`, and of a rotation that several ask for at once."""

from collections.abc import Callable
from typing import Any

from burnish.adapters.sql.unit import SqlUnit
from burnish.datasets.looks import Look, Rotation, budget
from burnish.datasets.rotation import rotate
from burnish.kernel.audit import Actor
from burnish.kernel.ids import DatasetId, RunId
from support.concurrency import THREADS, at_once
from support.databases import saved
from support.samples import NOON, dataset, later, policy

Units = Callable[..., SqlUnit]


def rotation(**changes: Any) -> Rotation:
    fields: dict[str, Any] = {
        "model": "laundry",
        "epoch": 2,
        "dataset": DatasetId("laundry@3"),
        "actor": "kim",
        "reason": "new camera",
        "at": NOON,
    }
    return Rotation(**(fields | changes))


def test_a_run_looks_once(unit: Units) -> None:
    look = Look(
        run=RunId("r"),
        model="laundry",
        epoch=2,
        dataset=DatasetId("laundry@1"),
        candidate="1.0.0",
        at=NOON,
    )
    with saved(unit()) as stores:
        assert stores.looks.add(look)
        assert not stores.looks.add(look)
        assert (stores.looks.count("laundry", 2), stores.looks.count("laundry", 1)) == (1, 0)


def test_the_first_rotation_of_an_epoch_stands_and_says_nothing_of_others(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.looks.rotate(rotation())
    with saved(unit()) as stores:
        stores.looks.rotate(rotation(actor="lee", reason="again", at=later(1)))
        stores.looks.rotate(rotation(epoch=3, at=later(2)))
    with unit(reads_only=True) as stores:
        assert stores.looks.rotation("laundry", 2) == rotation()
        assert stores.looks.rotation("laundry", 3) == rotation(epoch=3, at=later(2))
        assert stores.looks.rotation("laundry", 1) is None
        assert stores.looks.rotation("face", 2) is None
        worn = [budget(stores.looks, dataset(epoch=n), policy().dataset).spent for n in (1, 2)]
        assert worn == [False, True]


def test_of_rotations_asked_for_at_once_one_stands_and_leaves_a_trace(unit: Units) -> None:
    rules = policy()
    held = {"train": {"good": 60}, "holdout": {"good": 20, "defect": 20}}
    with saved(unit()) as stores:
        stores.models.add(rules)
        stores.datasets.add(dataset(policy_digest=rules.digest, counts=held))

    def ask(number: int) -> Rotation:
        who = Actor(name=f"person-{number}")
        return rotate(unit(), "laundry", actor=who, reason="new camera", now=later(number))

    answers, errors = at_once(ask)
    assert (len(answers), errors) == (THREADS, [])
    (stands,) = set(answers)
    with unit(reads_only=True) as stores:
        assert stores.looks.rotation("laundry", 1) == stands
        rows = [row for row in stores.audit_log.newest(limit=9) if row.action == "holdout.rotated"]
        told = [one for one in stores.events.after(0, limit=9) if one.type == "HoldoutRotated"]
    assert [(row.actor, row.subject, row.reason) for row in rows] == [
        (stands.actor, "dataset:laundry@1", "new camera")
    ]
    assert [one.data for one in told] == [{"epoch": 1, "looks": 0, "reason": "new camera"}]
