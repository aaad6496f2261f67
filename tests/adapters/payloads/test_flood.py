"""A flood of copies of one photo, sent as people send photos, while triggers look all the time."""

import threading
from collections.abc import Callable
from datetime import timedelta

import cv2
import pytest

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.following import Following
from burnish.adapters.system import utc_now
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy, policy_of
from burnish.triggers.model import DecisionEntry
from burnish.triggers.service import consider, explain
from support.ledger import NOON
from support.photos import HEIGHT, WIDTH, jpeg, photo, pixels
from support.world import World

from .conftest import Place, collector_of

COPIES = 500
Say = Callable[..., None]


def eager(place: Place, near_duplicate: str = "perceptual") -> ModelPolicy:
    """Trains on two corrections, by whichever trigger."""
    return policy_of(
        {
            "name": "laundry",
            "kind": "image-classification",
            "labels": ["good", "defect"],
            "dataset": {"near_duplicate": near_duplicate, "actor_share": 1.0},
            "payload": {"allow": [place.host]},
            "trigger": {"min_corrections": 2, "min_days": 0, "urgent_corrections": 2},
        }
    )


def copies_of(number: int, count: int) -> list[bytes]:
    """Return so many different files of one photo: recompressed, and every other one smaller."""
    whole = pixels(number)
    smaller = cv2.resize(whole, (WIDTH * 3 // 4, HEIGHT * 3 // 4), interpolation=cv2.INTER_AREA)
    found = [jpeg((whole, smaller)[turn % 2], 40 + turn % 55) for turn in range(count)]
    # The same quality makes the same file: what follows its end is no part of the picture.
    return [data + turn.to_bytes(2, "big") for turn, data in enumerate(found)]


def follow(collector: PayloadCollector, rules: ModelPolicy) -> None:
    for bring in (collector.fetch, collector.look):
        following = Following(collector, bring, lambda _: None)
        while following.step(rules):
            pass


@pytest.mark.parametrize("way", ["own store", "uri"])
def test_500_recompressed_copies_of_one_photo_fire_nothing_not_even_for_a_moment(
    world: World, place: Place, say: Say, way: str
) -> None:
    rules, collector = world.apply(eager(place)), collector_of(world, place)

    def send(name: str, data: bytes) -> str:
        if way == "uri":
            return place.put(name, data)
        world.objects.put(payload_key(digest(data)), data)
        return f"burnish:{digest(data)}"

    def look() -> DecisionEntry:
        return consider(world.unit, world.view, rules, now=utc_now())

    done = threading.Event()
    looks: list[DecisionEntry] = []

    def watch() -> None:
        while not done.is_set():
            looks.append(look())

    watching = threading.Thread(target=watch)
    watching.start()
    sent = [
        (f"s{number}", "defect", send(f"{number}.jpg", data))
        for number, data in enumerate(copies_of(1, COPIES))
    ]
    for start in range(0, COPIES, 100):
        say(*sent[start : start + 100])
    waiting = look()
    follow(collector, rules)
    last = look()
    done.set()
    watching.join()
    assert not any(entry.fire for entry in (*looks, waiting, last))
    why = "not looked at yet" if way == "own store" else f"not fetched yet from http://{place.host}"
    assert waiting.reason == (
        "no corrections to learn from; 0 of 2 corrections, never trained; "
        f"500 records did not count: 500 {why}"
    )
    assert last.reason == (
        "1 of 2 corrections, never trained; 499 records did not count: 499 near-duplicates"
    )

    say(("another", "good", send("another.jpg", photo(2))))
    follow(collector, rules)
    assert look().fire


def test_where_identical_bytes_alone_are_one_nothing_waits_for_a_look(
    world: World, place: Place, say: Say
) -> None:
    rules = world.apply(eager(place, "off"))
    for number, data in enumerate(copies_of(1, 2)):
        world.objects.put(payload_key(digest(data)), data)
        say((f"s{number}", "defect", f"burnish:{digest(data)}"))
    with world.view() as view:
        assert explain(view, rules, now=NOON + timedelta(minutes=1)).fire
