"""An operator says that a holdout is worn: what follows, and where it is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.client.api import ApiProblem
from burnish.datasets.columns import Asked
from burnish.datasets.looks import Rotation, budget
from burnish.datasets.model import Dataset, Split
from burnish.datasets.reading import Read, SerialReader
from burnish.datasets.rotation import rotate
from burnish.feedback.model import FeedbackRecord
from burnish.feedback.parse import record_of
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.policy import ModelPolicy
from support.ledger import NOON
from support.samples import policy as laundry

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py
Shop = Any  # of tests/conftest.py
PATH = "/v1/models/laundry/holdout/rotate"
WHY = "new camera"


def policy(**dataset: object) -> ModelPolicy:
    return laundry(dataset={"holdout": 10, "validation": 0.2, "actor_share": 1} | dataset)


class Floor:
    """People who judge, versions built of what they say, and an operator."""

    def __init__(self, world: World, about: About) -> None:
        self.world, self.rules, self._about = world, world.apply(policy()), about
        self.said = 0

    def judge(self, count: int) -> None:
        """Judge new subjects; the model's uncertainty has asked for every fifth."""
        numbers = range(self.said, self.said + count)
        self.said += count
        self.world.say(
            *(
                self._about(
                    f"s{number}",
                    "good" if number % 2 else "defect",
                    payload=self.world.photo(f"photo-{number}"),
                    selection=None if number % 5 else "uncertainty",
                    occurred_at=NOON + timedelta(seconds=number),
                )
                for number in numbers
            )
        )

    def rotate(self) -> Rotation:
        who, now = Actor(name="kim"), self.world.clock()
        return rotate(self.world.unit(), "laundry", actor=who, reason=WHY, now=now)

    def build(self) -> Dataset:
        """Return the next version, which is the same each time it is built."""
        end = self.world.raw_log.end()
        built: Dataset = self.world.service.build(self.rules, end)
        assert self.world.service.rebuilt(self.rules, built) == built.digest
        return built

    def sides(self, dataset: Dataset) -> dict[str, Split]:
        return {row.subject: row.split for row in self.world.service.rows(dataset)}

    def spent(self, dataset: Dataset) -> bool:
        with self.world.view() as view:
            return budget(view.looks, dataset, self.rules.dataset).spent


@given(steps=st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=6, max_size=10))
@settings(max_examples=8)
def test_whenever_people_rotate_nobody_is_held_out_who_trained_or_was_held_out_before(
    new_world: Callable[[], World], about: About, steps: list[tuple[int, bool]]
) -> None:
    floor = Floor(new_world(), about)
    floor.judge(60)
    before = floor.build()
    sides = floor.sides(before)  # in this epoch
    held = {subject for subject, side in sides.items() if side is Split.HOLDOUT}
    never_again = set(sides) - held  # trained once, or held out in an epoch that has ended
    for count, asked in steps:
        if asked:
            assert floor.rotate().epoch == before.epoch
        worn = floor.spent(before)
        assert worn or not asked
        floor.judge(count)
        eligible = {f"s{number}" for number in range(floor.said) if number % 5}
        newcomers = eligible - never_again - held  # reserved ones, and those of this step
        built = floor.build()
        assert (built.epoch > before.epoch) is (worn and len(newcomers) >= 10)
        now = floor.sides(built)
        judges = {subject for subject, side in now.items() if side is Split.HOLDOUT}
        if built.epoch > before.epoch:
            assert not floor.spent(built)  # a word on one epoch says nothing of the next
            assert held <= set(now) - judges
            never_again |= held
            sides, held = {}, set()
        elif worn:
            assert judges == held  # newcomers are kept for the next
            assert all(int(subject[1:]) % 5 == 0 for subject in set(now) - set(sides))
        assert not judges & never_again
        assert all(sides.setdefault(subject, side) is side for subject, side in now.items())
        never_again |= set(now) - judges
        held |= judges
        before = built


class Interrupted(SerialReader):
    """Reads as ever; an operator rotates meanwhile."""

    meanwhile: Callable[[], object]

    def read(self, asked: Asked, since: Offsets, until: Offsets) -> Read:
        self.meanwhile()
        return super().read(asked, since, until)


def test_a_build_that_is_under_way_ends_as_it_began_and_the_next_one_begins_an_epoch(
    world: World, about: About
) -> None:
    floor = Floor(world, about)
    floor.judge(60)
    floor.build()
    floor.judge(20)
    reader = Interrupted(world.raw_log, record_of)
    reader.meanwhile = floor.rotate
    end = world.raw_log.end()
    second = replace(world.service, reader=reader).build(floor.rules, end)
    assert floor.spent(second)
    assert (second.epoch, second.left_out) == (1, {})
    assert world.service.rebuilt(floor.rules, second) == second.digest
    floor.judge(20)
    assert floor.build().epoch == 2


@pytest.fixture
def applied(shop: Shop) -> ModelPolicy:
    rules: ModelPolicy = shop.apply(policy())
    return rules


def test_versions_tell_who_has_said_that_their_holdout_is_worn_and_why(
    shop: Shop, applied: ModelPolicy
) -> None:
    shop.judge(range(60))
    first = shop.build(applied)
    assert "spent" not in shop.run("dataset", "list").stdout
    words = ("dataset", "rotate", "laundry", "--reason", WHY)
    said = shop.run(*words).stdout
    assert said.startswith("laundry: epoch 1 is spent, said admin at ")
    assert f"({WHY}): the next version begins a new epoch" in said
    rotation = shop.json("dataset", "rotate", "laundry", "--reason", "to be sure")
    assert (rotation["epoch"], rotation["dataset"], rotation["reason"]) == (1, first.id, WHY)
    assert shop.api.post(PATH, {"reason": "once more"}).json() == rotation

    shown = shop.run("dataset", "show", first.id).stdout
    assert "0 of 50 at 10 examples; spent, said admin at " in shown
    assert shop.json("dataset", "show", first.id)["holdout"]["rotation"] == rotation
    assert "1 (spent)" in shop.run("dataset", "list").stdout
    shop.judge(range(60, 100))
    shop.build(applied)
    listed = shop.json("dataset", "list", "--model", "laundry")["items"]
    assert [(one["epoch"], one["spent"]) for one in listed] == [(2, False), (1, True)]
    with shop.view() as view:
        rows = [row for row in view.audit_log.newest(limit=9) if row.action == "holdout.rotated"]
        told = [one for one in view.events.after(0, limit=99) if one.type == "HoldoutRotated"]
    assert [(row.actor, row.reason, row.subject) for row in rows] == [
        ("admin", WHY, "dataset:laundry@1")
    ]
    assert [one.subject for one in told] == ["laundry@1"]


def refused(shop: Shop, code: str, *, reason: str = WHY) -> str:
    """Return what the API says that refuses to rotate, and leaves no trace."""
    with pytest.raises(ApiProblem) as answer:
        shop.api.post(PATH, {"reason": reason})
    assert answer.value.code == code
    assert answer.value.status == (422 if code == "input.invalid" else 409)
    with shop.view() as view:
        assert view.looks.rotation("laundry", 1) is None
        assert "holdout.rotated" not in {row.action for row in view.audit_log.newest(limit=99)}
    return str(answer.value)


def test_without_a_reason_a_version_or_a_holdout_nothing_is_rotated(
    shop: Shop, applied: ModelPolicy
) -> None:
    assert "first run builds one" in refused(shop, "holdout.none")
    assert "say why" in refused(shop, "input.invalid", reason=" ")
    shop.judge(range(60))
    shop.build(shop.apply(policy(holdout=0)))
    assert "raise `dataset.holdout`" in refused(shop, "holdout.none")
    nobody = shop.run("dataset", "rotate", "curtains", "--reason", WHY)
    assert nobody.exit_code == 1
    assert "model.unknown" in nobody.output
    assert shop.run("dataset", "rotate", "laundry").exit_code == 2


def test_a_holdout_by_source_is_its_owners_to_replace(shop: Shop, applied: ModelPolicy) -> None:
    exam = policy(holdout_source="exam")
    shop.judge(range(60))
    drawn = shop.build(applied)
    shop.apply(exam)
    assert "send new ones under another source" in refused(shop, "holdout.by_source")
    shop.judge(range(60, 80), source="exam")
    assert shop.build(exam).epoch == drawn.epoch + 1
    assert "'exam'" in refused(shop, "holdout.by_source")
    shop.apply(policy())
    assert "begins a new epoch anyway" in refused(shop, "holdout.by_source")
