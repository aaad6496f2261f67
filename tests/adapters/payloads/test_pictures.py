"""Near-identical photos count once, and are on one side, whoever sends them and when."""

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.pictures import Pictures, look_at
from burnish.adapters.sql.payloads import SqlPayloads
from burnish.datasets.model import Row, Split
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy, NearDuplicate
from burnish.triggers.counting import count
from support.photos import HANDS, jpeg, photo, pixels, png
from support.world import World, record

from .conftest import collector_of, policy

PICTURES = 24


def effective(view: Any, applied: ModelPolicy) -> int:
    """Return how many corrections a trigger would count."""
    return count(view, applied, since={}, upto=view.feedback.offsets()).tally.effective


LABELS = ("good", "defect")

Said = tuple[str, str, str]  # subject, label, payload


def keep(world: World, data: bytes) -> str:
    """Store a photo as control or serve would; return its URI."""
    world.objects.put(payload_key(digest(data)), data)
    return f"burnish:{digest(data)}"


def adversary(world: World) -> list[Said]:
    """Return records on each picture under many subjects, each subject with a copy of its own."""
    said = []
    for number in range(PICTURES):
        shapes = [photo(number), *(hand(pixels(number)) for hand in HANDS.values())]
        for at, data in enumerate(shapes):
            said.append((f"p{number}-{at}", LABELS[number % 2], keep(world, data)))
    Random(5).shuffle(said)  # the same disorder every time
    return said


def version(
    world: World, collector: PayloadCollector, policy_: ModelPolicy, *said: Said
) -> list[Row]:
    world.say(*(record(subject, label, payload=uri) for subject, label, uri in said))
    world.project()
    collector.collect(policy_, {})
    return list(world.service.rows(world.service.build(policy_, world.raw_log.end())))


def picture(subject: str) -> int:
    return int(subject[1:].partition("-")[0])


@pytest.mark.parametrize(("how", "leaks"), [("perceptual", False), ("content", True)])
def test_copies_spread_over_subjects_are_on_one_side(world: World, how: str, leaks: bool) -> None:
    applied = world.apply(policy(near_duplicate=how))
    rows = version(world, collector_of(world), applied, *adversary(world))
    found = defaultdict(set)
    for row in rows:
        found[picture(row.subject)].add(row.split is Split.HOLDOUT)
    assert any(len(one) > 1 for one in found.values()) is leaks
    if not leaks:
        assert Counter(picture(row.subject) for row in rows) == dict.fromkeys(range(PICTURES), 1)


def test_they_stay_on_it_from_version_to_version(world: World) -> None:
    collector, applied = collector_of(world), world.apply(policy(near_duplicate="perceptual"))
    said = adversary(world)
    found = defaultdict(set)
    for start, end in ((0, 70), (70, 90), (90, 120), (120, 144)):
        for row in version(world, collector, applied, *said[start:end]):
            found[picture(row.subject)].add(row.split is Split.HOLDOUT)
    assert len(found) == PICTURES
    assert all(len(one) == 1 for one in found.values())


def test_five_hundred_copies_of_one_photo_count_once(world: World) -> None:
    applied = world.apply(policy(near_duplicate="perceptual"))
    image = pixels(1)
    copies = [keep(world, jpeg(image, 30 + number % 65)) for number in range(500)]
    world.say(
        *(record(f"s{number}", "defect", payload=uri) for number, uri in enumerate(copies)),
        record("other", "good", payload=keep(world, photo(2))),
    )
    world.project()
    collector_of(world).collect(applied, {})
    with world.view() as view:
        assert effective(view, applied) == 2


def test_other_bytes_of_the_same_pixels_count_once_unless_the_policy_says_off(
    world: World,
) -> None:
    collector = collector_of(world)
    image = pixels(4)
    payloads = [keep(world, png(image)), keep(world, png(image) + b"\0trailing")]
    world.say(*(record(f"s{number}", "good", payload=uri) for number, uri in enumerate(payloads)))
    world.project()
    for how, expected in (("content", 1), ("off", 2)):
        applied = policy(near_duplicate=how)
        collector.collect(applied, {})
        with world.view() as view:
            assert effective(view, applied) == expected


def test_what_was_looked_at_only_for_its_pixels_is_compared_once_a_policy_asks(
    world: World,
) -> None:
    payloads, pictures = _pictures(world)
    copies = [photo(5), HANDS["resized"](pixels(5))]
    names = [keep(world, data).removeprefix("burnish:") for data in copies]
    for closely, expected in ((False, {}), (True, dict.fromkeys(names, min(names)))):
        how = NearDuplicate.PERCEPTUAL if closely else NearDuplicate.CONTENT
        assert payloads.unseen(names, how) == sorted(names)
        pictures.note(
            {name: look_at(data, closely=closely) for name, data in zip(names, copies, strict=True)}
        )
        assert payloads.unseen(names, how) == []
        assert payloads.shown(names, NearDuplicate.PERCEPTUAL) == expected
    assert payloads.shown(names, NearDuplicate.CONTENT) == {one: one for one in names}


def test_what_another_worker_has_seen_meanwhile_is_compared_too(world: World) -> None:
    payloads, one = _pictures(world)
    _, other = _pictures(world)
    names = []
    for turn, data in enumerate([photo(6), *(hand(pixels(6)) for hand in HANDS.values())]):
        names.append(keep(world, data).removeprefix("burnish:"))
        (one, other)[turn % 2].note({names[-1]: look_at(data, closely=True)})
    assert payloads.shown(names, NearDuplicate.PERCEPTUAL) == dict.fromkeys(names, names[0])


def _pictures(world: World) -> tuple[SqlPayloads, Pictures]:
    payloads = SqlPayloads(world.engine)
    return payloads, Pictures(payloads, world.objects)
