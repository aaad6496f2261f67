"""Inputs that lie elsewhere come into our own store once; what cannot be had is named."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.sources.places import SourceFailed
from burnish.datasets.model import ClassTooSmall, Reason
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from support.photos import jpeg, photo, pixels
from support.world import World

from .conftest import Place, collector_of, policy

Say = Callable[..., None]


def label(number: int) -> str:
    return ("good", "defect")[number % 2]


def thirty(place: Place) -> list[tuple[str, str, str]]:
    return [
        (f"s{number}", label(number), place.put(f"{number}.jpg", photo(number % 30)))
        for number in range(30)
    ]


def left_out(world: World, dataset: Any) -> dict[str, Reason | None]:
    return {fate.id: fate.reason for fate in world.service.fates(dataset) if fate.reason}


def test_a_dataset_is_made_of_photos_that_lie_elsewhere_and_outlives_their_place(
    world: World, place: Place, collector: PayloadCollector, say: Say
) -> None:
    say(*thirty(place))
    applied = world.apply(policy(place))
    collector.collect(applied, {})
    place.close()
    dataset = world.service.build(applied, world.raw_log.end())
    rows = list(world.service.rows(dataset))
    assert len(rows) == 30
    assert {digest(world.objects.get(payload_key(row.payload_sha256))) for row in rows} == {
        digest(photo(number)) for number in range(30)
    }


def test_nothing_is_fetched_twice_whoever_names_it(
    world: World, place: Place, collector: PayloadCollector, say: Say
) -> None:
    uri = place.put("one.jpg", photo(1))
    say(("a", "good", uri), ("b", "good", uri))
    looked = collector.collect(policy(place), {})
    say(("c", "good", uri))
    place.put("one.jpg", photo(2))
    collector.collect(policy(place), looked)
    collector_of(world, place).collect(policy(place), {})
    assert place.asked == {"/one.jpg": 1}
    assert collector.payloads.fetched([uri]) == {uri: digest(photo(1))}


def test_each_input_that_cannot_be_had_is_left_out_with_its_own_reason(
    world: World, place: Place, collector: PayloadCollector, say: Say
) -> None:
    say(
        *thirty(place),
        ("missing", "good", place.uri("missing.jpg")),
        ("broken", "good", place.put("broken.jpg", photo(1)[:-500])),
        ("text", "good", place.put("text.jpg", b"<html>no photo</html>")),
        ("large", "good", place.put("large.jpg", photo(1) + bytes(1 << 20))),
        ("elsewhere", "good", "https://elsewhere.example/1.jpg"),
    )
    world.photo("no image at all")
    say(("own", "good", f"burnish:{digest(b'no image at all')}"))
    applied = world.apply(policy(place))
    collector.collect(applied, {})
    dataset = world.service.build(applied, world.raw_log.end())
    assert left_out(world, dataset) == {
        "about-missing": Reason.PAYLOAD_MISSING,
        "about-broken": Reason.PAYLOAD_UNREADABLE,
        "about-text": Reason.PAYLOAD_UNREADABLE,
        "about-large": Reason.PAYLOAD_TOO_LARGE,
        "about-elsewhere": Reason.PAYLOAD_NOT_ALLOWED,
        "about-own": Reason.PAYLOAD_UNREADABLE,
    }
    assert not world.objects.exists(payload_key(digest(b"<html>no photo</html>")))

    # When they are mended, the next build has them.
    place.put("missing.jpg", photo(31))
    place.put("broken.jpg", photo(32))
    collector.collect(applied, world.raw_log.end())
    say(("another", "good", place.put("another.jpg", photo(33))))
    collector.collect(applied, {})
    mended = world.service.build(applied, world.raw_log.end())
    assert not left_out(world, mended).keys() & {"about-missing", "about-broken"}


def test_a_build_that_fails_for_want_of_inputs_says_what_to_do(
    world: World, place: Place, collector: PayloadCollector, say: Say
) -> None:
    say(*((f"s{number}", label(number), place.uri(f"{number}.jpg")) for number in range(20)))
    applied = world.apply(policy(place))
    collector.collect(applied, {})
    with pytest.raises(ClassTooSmall, match=r"20 payload_missing.*put the inputs back"):
        world.service.build(applied, world.raw_log.end())


def test_a_place_that_goes_down_half_way_stops_the_build_and_is_gone_on_with(
    world: World, place: Place, say: Say
) -> None:
    collector = collector_of(world, place, parallel=1)
    said = thirty(place)
    say(*said)
    applied = world.apply(policy(place))
    place.answers = 12
    with pytest.raises(SourceFailed, match=place.host) as raised:
        collector.collect(applied, {})
    assert "take the place out of `payload.allow`" in raised.value.detail
    assert place.asked.total() == 12 + 3  # who waits for one in vain waits for no other
    place.answers = 10**9
    collector.collect(applied, {})
    assert place.asked.total() == 15 + 18
    assert len(collector.payloads.fetched([uri for _, _, uri in said])) == 30
    dataset = world.service.build(applied, world.raw_log.end())
    assert dataset.left_out == {}


def test_captured_inputs_are_looked_at_too(
    world: World, place: Place, collector: PayloadCollector, say: Say
) -> None:
    sha256 = digest(photo(3))
    world.objects.put(payload_key(sha256), photo(3))
    say(("a", "good", f"burnish:{sha256}"))
    collector.collect(policy(place), {})
    assert collector.payloads.unseen([sha256], policy(place).dataset.near_duplicate) == []
    copy = jpeg(pixels(3), 92)
    assert copy == photo(3)
