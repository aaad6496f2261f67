"""What counts, and why the rest does not: as a build counts, in words that people read."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from burnish.feedback.model import FeedbackRecord
from burnish.kernel.digest import digest
from burnish.kernel.policy import ModelPolicy
from burnish.triggers import service
from burnish.triggers.model import (
    Rule,
)
from support.ledger import NOON
from support.samples import prediction

from .conftest import finish_run, people_correct, policy

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def test_many_verdicts_on_one_subject_or_one_photo_count_once(
    world: World, about: About, rules: ModelPolicy
) -> None:
    photo = world.photo("the same")
    people_correct(world, about, 0, 50, payload=photo)
    world.say(*(about("one", "good", id=f"again-{number}") for number in range(50)))
    world.project()
    entry = world.consider(rules)
    assert entry.corrections == 2
    assert entry.reason == (
        "2 of 10 corrections, never trained; 98 records did not count: "
        "49 near-duplicates, 49 replaced by a later verdict"
    )


def test_500_copies_of_one_photo_start_nothing_and_the_explanation_says_why(
    world: World, about: About, rules: ModelPolicy
) -> None:
    photo = world.photo("the same")
    copies = [about(f"s{n}", "good", actor=f"person-{n}", payload=photo) for n in range(500)]
    world.say(*copies)
    world.project()
    entry = world.consider(rules)
    assert not entry.fire
    with world.view() as view:
        explained = service.explain(view, rules, now=NOON)
    assert (
        explained.sentence
        == entry.reason
        == ("1 of 10 corrections, never trained; 499 records did not count: 499 near-duplicates")
    )


def test_photos_that_nobody_has_looked_at_count_for_nothing_and_the_explanation_says_so(
    world: World, about: About
) -> None:
    """They may all show the same; once a worker has seen that they do not, they count."""
    rules = world.apply(
        replace(policy(), dataset=replace(policy().dataset, near_duplicate="content"))
    )
    people_correct(world, about, 0, 40)
    unseen = world.consider(rules)
    assert (unseen.rule, unseen.corrections) == (Rule.NOTHING, 0)
    assert unseen.reason == (
        "no corrections to learn from; 0 of 10 corrections, never trained; "
        "40 records did not count: 40 not looked at yet"
    )
    seconds = timedelta(seconds=1)
    world.looks_at(*(f"s{number}" for number in range(9)))
    assert world.consider(rules, after=seconds).corrections == 9
    world.looks_at("s9", shows="s0")
    world.looks_at("s10", shows=None)
    alike = world.consider(rules, after=2 * seconds)
    assert not alike.fire
    assert alike.reason == (
        "9 of 10 corrections, never trained; 31 records did not count: "
        "29 not looked at yet, 1 near-duplicate, 1 with an input that is no photo"
    )
    world.looks_at("s11")
    assert world.consider(rules, after=3 * seconds).fire


def test_photos_that_could_not_be_fetched_are_told_with_their_place(
    world: World, about: About
) -> None:
    rules = world.apply(
        replace(policy(), payload=replace(policy().payload, allow=("a.example", "b.example")))
    )
    for number, host in enumerate(("a.example", "b.example", "a.example", "none.example")):
        people_correct(world, about, number, 1, payload=f"https://{host}/{number}?key=secret")
    waits = world.consider(rules)
    assert waits.reason == (
        "no corrections to learn from; 0 of 10 corrections, never trained; "
        "4 records did not count: 3 not fetched yet from https://a.example and https://b.example, "
        "1 with an input that nobody may read"
    )


def test_people_who_disagree_and_the_holdout_and_mere_confirmations_do_not_count(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 3)
    world.say(about("s0", "defect", id="other", actor="lee"))
    people_correct(world, about, 10, 5, source="gold")
    people_correct(world, about, 20, 5, corrected=False, predicted="good")
    entry = world.consider(rules)
    assert entry.facts is not None
    tally = entry.facts.tally
    assert (tally.effective, tally.confirmed) == (2, 5)
    assert tally.left_out == {"contradiction": 2, "held_out": 5}
    assert tally.records == 14


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
    entry = world.consider(rules)
    assert entry.corrections == 1
    assert entry.facts is not None
    assert entry.facts.unknown == (ids[2],)
    world.predictions.append(
        [prediction(1, id=ids[2], label="defect", payload_sha256=digest(b"x"))]
    )
    assert world.consider(rules, after=timedelta(seconds=5)).corrections == 2  # logged by now


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
    assert entry.reason == (
        "14 of 20 corrections, never trained; "
        "86 records did not count: 86 beyond one person's share"
    )
