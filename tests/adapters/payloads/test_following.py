"""What a worker looks at by itself: new records first, and once more what was not there in time."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.following import FIRST_REST_S, LONGEST_REST_S, Following
from burnish.adapters.payloads.pictures import Look, look_at
from burnish.datasets.contents import Names
from burnish.datasets.model import Dataset
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from support.photos import photo
from support.samples import prediction
from support.world import World

from .conftest import Place, collector_of, policy

Say = Callable[..., None]


class Watch:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def following(
    collector: PayloadCollector,
    watch: Watch,
    bring: Callable[[ModelPolicy, Names], Names] | None = None,
    newest: Dataset | None = None,
) -> Following:
    return Following(collector, bring or collector.look, lambda _: newest, clock=watch)


def follow(following: Following, rules: ModelPolicy) -> None:
    while following.step(rules):
        pass


def unseen(collector: PayloadCollector, *photos: bytes) -> int:
    names = [digest(data) for data in photos]
    return len(collector.payloads.unseen(names, policy().dataset.near_duplicate))


def test_bytes_and_predictions_that_come_late_are_looked_at_ever_more_seldom_until_they_come(
    world: World, place: Place, collector: PayloadCollector, say: Say, watch: Watch
) -> None:
    id_ = "1.01890000-0000-7000-8000-000000000001"
    say(("late", "good", f"burnish:{digest(photo(1))}"))
    say(("predicted", "good", None), prediction_id=id_)  # type: ignore[arg-type]
    asked: list[Names] = []

    def look(rules: ModelPolicy, names: Names) -> Names:
        asked.append(names)
        return collector.look(rules, names)

    looking = following(collector, watch, look)
    follow(looking, policy(place))
    waits = Names(contents=frozenset({digest(photo(1))}), predictions=frozenset({id_}))
    assert asked == [waits]
    rest = FIRST_REST_S
    for _ in range(12):
        watch.now += rest - 0.01
        follow(looking, policy(place))
        count = len(asked)
        watch.now += 0.02
        follow(looking, policy(place))
        assert asked[count:] == [waits]
        rest = min(2 * rest, LONGEST_REST_S)
    assert rest == LONGEST_REST_S

    for number in (1, 2):
        world.objects.put(payload_key(digest(photo(number))), photo(number))
    world.predictions.append([prediction(1, id=id_, payload_sha256=digest(photo(2)))])
    watch.now += rest
    follow(looking, policy(place))
    assert unseen(collector, photo(1), photo(2)) == 0
    count = len(asked)
    watch.now += 10 * LONGEST_REST_S
    follow(looking, policy(place))
    assert len(asked) == count


def test_a_place_that_is_down_is_asked_again_and_keeps_no_other_waiting(
    world: World, place: Place, collector: PayloadCollector, say: Say, watch: Watch
) -> None:
    sha256 = digest(photo(9))
    world.objects.put(payload_key(sha256), photo(9))
    uris = [place.put(f"{number}.jpg", photo(number)) for number in range(3)]
    say(*((f"s{number}", "good", uri) for number, uri in enumerate(uris)))
    say(("own", "good", f"burnish:{sha256}"))
    place.answers = 0
    fetching = following(collector, watch, collector.fetch)
    looking = following(collector, watch)
    follow(fetching, policy(place))
    follow(looking, policy(place))
    assert unseen(collector, photo(9)) == 0
    assert collector.payloads.fetched(uris) == {}
    place.answers = 10**9
    watch.now += FIRST_REST_S
    follow(fetching, policy(place))
    assert collector.payloads.fetched(uris).keys() == set(uris)
    assert unseen(collector, *(photo(number) for number in range(3))) == 0


def test_a_photo_that_nobody_can_make_sense_of_keeps_no_other_waiting(
    world: World,
    place: Place,
    collector: PayloadCollector,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch()
    uris = [place.put(f"{number}.jpg", photo(number)) for number in range(2)]
    for number in range(2, 4):
        world.objects.put(payload_key(digest(photo(number))), photo(number))
    own = [f"burnish:{digest(photo(number))}" for number in range(2, 4)]
    say(*((f"s{number}", "good", uri) for number, uri in enumerate([*uris, *own])))
    really = look_at

    def fail(data: bytes, *, closely: bool) -> Look:
        if data in {photo(0), photo(2)}:
            raise MemoryError
        return really(data, closely=closely)

    rules = policy(place)
    fetching = following(collector, watch, collector.fetch)
    looking = following(collector, watch)
    with monkeypatch.context() as patched:
        patched.setattr("burnish.adapters.payloads.collector.look_at", fail)
        follow(fetching, rules)
        follow(looking, rules)
        assert unseen(collector, *(photo(number) for number in range(4))) == 2
        with pytest.raises(MemoryError):  # a build does not begin without them
            collector.collect(rules, {})
    watch.now += FIRST_REST_S
    follow(fetching, rules)
    follow(looking, rules)
    assert unseen(collector, *(photo(number) for number in range(4))) == 0


def test_what_is_late_is_not_forgotten_when_the_world_fails(
    world: World, collector: PayloadCollector, say: Say, watch: Watch
) -> None:
    say(("late", "good", f"burnish:{digest(photo(1))}"))
    fails = False

    def look(rules: ModelPolicy, names: Names) -> Names:
        if fails:
            raise OSError("the database is at rest")
        return collector.look(rules, names)

    looking = following(collector, watch, look)
    follow(looking, policy())
    world.objects.put(payload_key(digest(photo(1))), photo(1))
    watch.now, fails = watch.now + FIRST_REST_S, True
    for _ in range(2):
        with pytest.raises(OSError, match="at rest"):
            looking.step(policy())
    fails = False
    follow(looking, policy())
    assert unseen(collector, photo(1)) == 0


def test_what_a_worker_fetched_before_it_died_is_looked_at_by_the_next(
    world: World, place: Place, say: Say, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(("a", "good", place.put("a.jpg", photo(1))))
    dies = collector_of(world, place)

    def die(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dies.pictures, "note", die)
    with pytest.raises(KeyboardInterrupt):
        follow(following(dies, watch, dies.fetch), policy(place))
    collector = collector_of(world, place)
    assert unseen(collector, photo(1)) == 1
    follow(following(collector, watch), policy(place))
    assert unseen(collector, photo(1)) == 0


def test_the_new_comes_before_the_old_and_under_the_same_policy_alone(
    world: World, say: Say, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.adapters.payloads.collector.PAGE", 10)
    rules = world.apply(policy(near_duplicate="off", holdout=5))

    def uri(number: int) -> str:
        sha256 = digest(photo(number % 30))
        world.objects.put(payload_key(sha256), photo(number % 30))
        return f"burnish:{sha256}"

    say(*((f"s{number}", ("good", "defect")[number % 2], uri(number)) for number in range(25)))
    version = world.service.build(rules, world.raw_log.end())
    say(*((f"s{number}", "good", uri(number)) for number in range(25, 30)))
    collector = collector_of(world)
    taken: list[Names] = []

    def take(_: ModelPolicy, names: Names) -> Names:
        taken.append(names)
        return Names()

    follow(following(collector, watch, take, version), rules)
    assert [len(names) for names in taken] == [5]
    taken.clear()
    follow(following(collector, watch, take, version), policy())
    assert [len(names) for names in taken] == [5, 10, 10, 5]
    assert taken[0].contents == {digest(photo(number)) for number in range(25, 30)}
