"""Objects of a remote store, looked into from a copy on this disk."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.mapped_objects import MappedObjects
from burnish.feedback.model import FeedbackRecord
from burnish.kernel.objects import Mappable, ObjectNotFound
from support.samples import policy

World = Any
About = Callable[..., FeedbackRecord]


class Counting:
    """A remote store that counts what it is asked for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self.fetched: list[str] = []

    def get(self, key: str) -> bytes:
        self.fetched.append(key)
        return bytes(self._objects.get(key))

    def __getattr__(self, name: str) -> Any:
        if name == "map":
            raise AttributeError(name)
        return getattr(self._objects, name)


def test_what_is_mapped_is_fetched_once_and_survives_a_restart(
    world: World, tmp_path: Path
) -> None:
    remote = Counting(world)
    world.objects.put("datasets/a", b"layer")
    for _ in range(2):
        here = MappedObjects(remote, tmp_path / "cache")
        assert bytes(here.map("datasets/a")) == bytes(here.map("datasets/a")) == b"layer"
    assert remote.fetched == ["datasets/a"]
    assert isinstance(here, Mappable)
    with pytest.raises(ObjectNotFound):
        here.map("datasets/none")


def test_what_was_used_longest_ago_makes_room_and_is_fetched_again(
    world: World, tmp_path: Path
) -> None:
    remote = Counting(world)
    here = MappedObjects(remote, tmp_path / "cache", limit=10)
    for name in "abc":
        world.objects.put(f"datasets/{name}", name.encode() * 5)
    first = here.map("datasets/a")
    for name in "bca":
        assert bytes(here.map(f"datasets/{name}")) == name.encode() * 5
    assert bytes(first) == b"aaaaa"
    assert remote.fetched == [f"datasets/{name}" for name in "abca"]


def test_what_makes_room_or_is_deleted_gives_it_back(world: World, tmp_path: Path) -> None:
    here = MappedObjects(Counting(world), tmp_path / "cache", limit=5)
    for name in "ab":
        world.objects.put(f"datasets/{name}", name.encode() * 5)
    oldest = weakref.ref(here.map("datasets/a"))
    newest = weakref.ref(here.map("datasets/b"))
    assert oldest() is None
    assert newest() is not None
    here.delete("datasets/b")
    assert newest() is None


def test_a_build_fetches_no_layer_twice(world: World, about: About, tmp_path: Path) -> None:
    remote = Counting(world)
    service = replace(world.service, objects=MappedObjects(remote, tmp_path / "cache"))
    rules = policy(dataset={"holdout": 5, "validation": 0.2})
    for start in range(0, 240, 60):
        people = range(start, start + 60)
        photos = [world.photo(f"photo-{number}") for number in people]
        world.say(
            *(
                about(f"s-{n}", "good" if n % 2 else "defect", payload=photo)
                for n, photo in zip(people, photos, strict=True)
            )
        )
        service.build(rules, world.raw_log.end())
    layers = [key for key in remote.fetched if "/layer." in key]
    assert len(layers) == len(set(layers))
    assert len(list(service.rows(service.versions()[0]))) == 240
