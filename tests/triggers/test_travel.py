"""Policy time travel, told by hand: what another policy would have done, and when."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from burnish.datasets.model import Reason
from burnish.kernel.audit import Actor
from burnish.pipeline.model import RunEvent
from burnish.pipeline.service import move
from burnish.triggers.model import Ask, Hold, Rule
from burnish.triggers.service import consider, pause
from support.ledger import NOON
from support.replays import SQL, stored, travelled
from support.replays import small_policy as policy
from support.samples import policy as laundry

World = Any  # of tests/conftest.py
About = Callable[..., Any]
MINUTE = timedelta(minutes=1)
KIM = Actor(name="kim")


def test_rows_that_the_run_itself_has_read_do_not_count_again_at_the_next_trigger(
    world: World, about: About
) -> None:
    rules = world.apply(policy(min_corrections=2, min_days=0))
    world.say(*(about(f"s{number}") for number in range(2)), shard=SQL)
    world.project()
    fired = consider(world.unit, world.view, rules, now=NOON)
    world.say(*(about(f"t{number}") for number in range(5)), shard=SQL)
    world.project()
    before = consider(world.unit, world.view, rules, now=NOON + MINUTE)
    assert (before.corrections, before.hold) == (5, Hold.RUN)
    with world.unit() as unit:
        run = unit.runs.save(replace(unit.runs.get(fired.run), offsets={SQL: 6}))
        unit.commit()
    after = consider(world.unit, world.view, rules, now=NOON + 1.1 * MINUTE)
    assert (after.corrections, after.rule) == (1, Rule.WAIT)
    with world.unit() as unit:
        move(unit, run, RunEvent.CANCEL, now=NOON)
        unit.commit()
    assert consider(world.unit, world.view, rules, now=NOON + 1.2 * MINUTE).rule is Rule.WAIT
    assert travelled(world, None).same == 4


@pytest.fixture
def told(world: World, about: About) -> World:
    """Two corrections a day for ten days; the policy trained on the fourth and the ninth day."""
    rules = world.apply(policy(min_corrections=8, min_days=3))
    for day in range(10):
        world.now = NOON + timedelta(days=day)
        world.say(*(about(f"s{day}-{number}", "good") for number in range(2)))
        world.project()
        for seconds in (0, 30):
            entry = consider(
                world.unit, world.view, rules, now=world.now + timedelta(seconds=seconds)
            )
            if entry.fire:
                with world.unit() as unit:
                    move(unit, unit.runs.get(entry.run), RunEvent.CANCEL, now=world.now)
                    unit.commit()
    return world


def days(trainings: Any) -> list[int]:
    return [(training.at - NOON).days for training in trainings]


def test_a_lower_threshold_would_have_trained_more_often(told: World) -> None:
    found = travelled(told, policy(min_corrections=4, min_days=1))
    assert days(found.did) == [3, 7]
    assert days(found.would) == [1, 3, 5, 7, 9]
    assert [training.corrections for training in found.would] == [4, 4, 4, 4, 4]
    first = found.changes[0]
    assert first.was is not None
    assert (first.was.rule, first.would_be.rule) == (Rule.WAIT, Rule.CORRECTIONS)


def test_a_higher_threshold_would_have_trained_less_often(told: World) -> None:
    found = travelled(told, policy(min_corrections=12, min_days=3, urgent_corrections=50))
    assert days(found.would) == [5]
    assert found.would[0].reason == "12 of 12 corrections, never trained"
    assert found.same < found.decisions


def test_days_alone_turn_a_decision_where_somebody_looked(world: World, about: About) -> None:
    rules = world.apply(policy(min_corrections=2, min_days=100))
    world.say(*(about(f"s{number}", "good") for number in range(2)))
    world.project()
    fired = consider(world.unit, world.view, rules, now=NOON)
    with world.unit() as unit:
        move(unit, unit.runs.get(fired.run), RunEvent.CANCEL, now=NOON)
        unit.commit()
    world.say(*(about(f"t{number}", "good") for number in range(2)))
    world.project()
    for minute in range(1, 200):
        consider(world.unit, world.view, rules, now=NOON + minute * MINUTE)
    assert len(stored(world)) == 2
    found = travelled(world, policy(min_corrections=2, min_days=0.1))
    assert [training.at - NOON for training in found.would] == [0 * MINUTE, 144 * MINUTE]
    assert found.changes[0].was is None


def test_another_dataset_policy_counts_the_stored_feedback_anew(world: World, about: About) -> None:
    rules = world.apply(policy(min_corrections=4))
    world.say(*(about(f"s{number}", "good", source="gold") for number in range(4)))
    world.project()
    entry = consider(world.unit, world.view, rules, now=NOON)
    assert entry.facts is not None
    assert entry.facts.tally.left_out == {Reason.HELD_OUT: 4}
    without = laundry(trigger={"min_corrections": 4}, dataset={"near_duplicate": "off"})
    assert days(travelled(world, without).would) == [0]
    assert travelled(world, rules).would == []


def test_of_a_long_history_only_some_looks_are_counted_anew(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.triggers.replay.COUNTED_LOOKS", 5)
    found = travelled(told, policy(min_corrections=4, min_days=1))
    assert found.decisions < len(stored(told))
    assert found.would[0] == travelled(told, policy(min_corrections=4, min_days=1)).would[0]
    assert travelled(told, None).decisions == len(stored(told))


def test_what_people_asked_and_paused_stays_as_it_was(world: World, about: About) -> None:
    rules = world.apply(policy())
    pause(world.unit(), "laundry", [], actor=KIM, reason="why", now=NOON)
    world.say(*(about(f"s{number}", "good") for number in range(3)))
    world.project()
    consider(world.unit, world.view, rules, now=NOON)
    ask = Ask(actor="kim", reason="now", at=NOON + MINUTE)
    consider(world.unit, world.view, rules, now=ask.at, ask=ask)
    found = travelled(world, policy(min_corrections=1))
    assert [training.rule for training in found.would] == [Rule.OPERATOR]
    assert found.changes[0].would_be.hold is Hold.PAUSED
