"""Decisions on a real database: counted as a build counts, stored once, with the run they start."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import func, select

from burnish.adapters.sql.schema import audit, decisions, runs
from burnish.feedback.model import FeedbackRecord
from burnish.kernel.digest import digest
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import RunEvent
from burnish.pipeline.service import move
from burnish.triggers.model import Rule
from support.samples import policy as laundry
from support.samples import prediction

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py
DAY = timedelta(days=1)


def policy(**trigger: object) -> ModelPolicy:
    return laundry(
        trigger={"min_corrections": 10, "min_days": 7, "urgent_corrections": 30} | trigger,
        dataset={"holdout_source": "gold", "validation": 0.2},
    )


def people_correct(world: World, about: About, first: int, count: int, **changes: Any) -> None:
    said = [about(f"s{number}", "good", **changes) for number in range(first, first + count)]
    world.say(*said)
    world.project()


def finish_run(world: World, run: str) -> None:
    with world.unit() as unit:
        move(unit, unit.runs.get(run), RunEvent.CANCEL, now=world.now)
        unit.commit()


def count(world: World, table: Any) -> int:
    with world.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def rules(world: World) -> ModelPolicy:
    applied: ModelPolicy = world.apply(policy())
    return applied


def test_a_decision_to_wait_is_stored_with_its_reason_and_starts_nothing(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 4)
    entry = world.consider(rules)
    assert (entry.fire, entry.rule, entry.run) == (False, Rule.WAIT, None)
    assert entry.reason == "4 of 10 corrections, never trained"
    assert entry.offsets == {"0": 4}
    with world.unit() as unit:
        assert unit.decisions.list("laundry") == [entry]
    assert count(world, runs) == 0


def test_the_same_wait_is_not_stored_again_until_a_number_changes(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 4)
    first = world.consider(rules)
    assert world.consider(rules, after=DAY) == first
    people_correct(world, about, 0, 4)  # copies
    assert world.consider(rules, after=DAY) == first
    people_correct(world, about, 4, 1)
    assert world.consider(rules, after=DAY).corrections == 5
    assert count(world, decisions) == 2


def test_another_policy_is_another_decision(world: World, about: About, rules: ModelPolicy) -> None:
    people_correct(world, about, 0, 4)
    world.consider(rules)
    world.consider(world.apply(policy(urgent_corrections=40)))
    assert count(world, decisions) == 2


def test_a_firing_decision_its_run_and_their_audit_are_one_transaction(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    before = count(world, audit)
    entry = world.consider(rules)
    assert (entry.fire, entry.rule) == (True, Rule.CORRECTIONS)
    with world.unit() as unit:
        run = unit.runs.get(entry.run)
    assert (run.offsets, run.cause.rule) == ({"0": 10}, "corrections")
    assert count(world, audit) == before + 1
    assert world.messages.begun == [("train", entry.run)]


def test_if_the_decision_cannot_be_stored_no_run_is_left(
    world: World, about: About, rules: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_correct(world, about, 0, 10)

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("burnish.adapters.sql.triggers.DecisionStore.add", full)
    with pytest.raises(OSError, match="disk full"):
        world.consider(rules)
    assert (count(world, runs), count(world, decisions)) == (0, 0)


def test_while_a_run_is_active_nothing_fires_not_even_for_an_operator(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    world.consider(rules)
    people_correct(world, about, 10, 40)
    assert world.consider(rules).rule is Rule.ACTIVE
    assert world.consider(rules, operator="now").rule is Rule.ACTIVE
    assert count(world, runs) == 1


def test_after_a_training_only_what_is_new_counts_and_days_begin_again(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    finish_run(world, world.consider(rules).run)
    assert world.consider(rules, after=DAY).rule is Rule.NOTHING
    people_correct(world, about, 10, 10)
    waits = world.consider(rules, after=DAY)
    assert waits.reason == "10 of 10 corrections, 1.0 of 7 days"
    assert not waits.fire
    assert world.consider(rules, after=7 * DAY).fire


def test_an_operator_starts_a_run_without_any_correction(world: World, rules: ModelPolicy) -> None:
    entry = world.consider(rules, operator="try the new policy")
    assert (entry.fire, entry.rule) == (True, Rule.OPERATOR)
    assert "try the new policy" in entry.reason


def test_many_verdicts_on_one_subject_or_one_photo_count_once(
    world: World, about: About, rules: ModelPolicy
) -> None:
    photo = world.photo("the same")
    people_correct(world, about, 0, 50, payload=photo)
    world.say(*(about("one", "good", id=f"again-{number}") for number in range(50)))
    world.project()
    assert world.consider(rules).corrections == 2


def test_people_who_disagree_and_the_holdout_and_mere_confirmations_do_not_count(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 3)
    world.say(about("s0", "defect", id="other", actor="lee"))
    people_correct(world, about, 10, 5, source="gold")
    people_correct(world, about, 20, 5, corrected=False, predicted="good")
    assert world.consider(rules).corrections == 2


def test_a_photo_is_found_through_its_prediction(
    world: World, about: About, rules: ModelPolicy
) -> None:
    ids = [f"1.01890000-0000-7000-8000-00000000000{number}" for number in range(3)]
    world.predictions.append(
        [prediction(1, id=id_, label="defect", payload_sha256=digest(b"same")) for id_ in ids[:2]]
    )
    world.say(
        *(about(id_, "good", payload=None, predicted="defect", prediction_id=id_) for id_ in ids)
    )
    world.project()
    assert world.consider(rules).corrections == 1


def draw(random: Random, world: World, about: About, numbers: range) -> list[FeedbackRecord]:
    said = []
    for number in numbers:
        subject = random.randrange(100)
        right = "good" if subject % 2 else "defect"
        final = random.choice(["good", "defect"]) if random.random() < 0.1 else right
        corrected = random.random() < 0.7
        said.append(
            about(
                f"subject-{subject}",
                final,
                id=f"id-{number}",
                source="gold" if subject < 15 and random.random() < 0.5 else "app",
                actor=random.choice(["kim", "kim", "kim", "lee"]),
                corrected=corrected,
                predicted=None if corrected else final,
                selection=random.choice([None, None, "uncertainty"]),
                occurred_at=world.now + timedelta(seconds=random.randrange(1000)),
                payload=world.photo(f"photo-{subject}"),
            )
        )
    return said


@given(seed=st.integers(0, 2**32), before=st.integers(1, 80))
@settings(max_examples=15, deadline=None)
def test_triggers_count_what_the_dataset_build_counts(
    new_world: Callable[[], World], about: About, seed: int, before: int
) -> None:
    """Each subject shows its own photo here, so the projection knows all that a build knows.

    But a share of all corrections is another than a share of the new ones: nobody is capped.
    """
    random, world = Random(seed), new_world()
    rules = replace(policy(), dataset=replace(policy().dataset, actor_share=1))
    world.apply(rules)

    def say(first: int, size: int) -> None:
        for shard in range(2):
            numbers = range(first + shard * size, first + (shard + 1) * size)
            world.say(*draw(random, world, about, numbers), shard=str(shard))
        world.project()

    say(0, before)
    since = world.raw_log.end()
    finish_run(world, world.consider(rules, operator="begin").run)
    say(1000, 150)
    entry = world.consider(rules, after=DAY)
    dataset = world.service.build(rules, entry.offsets)
    assert entry.corrections == world.service.effective_since(dataset, since)
    assert entry.corrections > 0


def test_one_actor_who_sends_nine_of_ten_corrections_starts_nothing(
    world: World, about: About
) -> None:
    world.apply(rules := policy(min_corrections=20, urgent_corrections=60))
    people_correct(world, about, 0, 90, actor="mallory")
    for number in range(90, 100):
        people_correct(world, about, number, 1, actor=f"person-{number}")
    world.project()
    entry = world.consider(rules, after=DAY * 8)
    assert not entry.fire
    assert entry.corrections == 14  # ten of others, and four of 90: three tenths of all


def test_500_copies_of_one_photo_start_nothing(world: World, about: About) -> None:
    world.apply(rules := policy(min_corrections=20))
    photo = world.photo("one")
    people = [f"person-{number % 50}" for number in range(500)]
    world.say(*(about(f"s{n}", "good", actor=who, payload=photo) for n, who in enumerate(people)))
    world.project()
    entry = world.consider(rules, after=DAY * 8)
    assert not entry.fire
    assert entry.corrections == 1
