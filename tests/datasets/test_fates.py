"""What became of each line of the raw log is told by the version, line by line and all at once."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.datasets.model import DatasetCorrupt, Reason
from burnish.datasets.versions import find_fate, load_fates
from burnish.feedback.model import FeedbackRecord
from support.samples import policy

World = Any
About = Callable[..., FeedbackRecord]


@pytest.fixture
def grown(world: World, about: About) -> World:
    """A world with two versions on two shards; the second changed fates of the first."""
    rules = policy(dataset={"holdout": 5, "validation": 0.2})
    for numbers, shard in ((range(60), "1"), (range(50, 70), "0")):
        world.say(
            *(
                about(
                    f"s-{n}", "good" if n % 2 else "defect",
                    id=f"{numbers.stop}-{n}", payload=world.photo(f"p-{n}"),
                )
                for n in numbers
            ),
            "no record",
            shard=shard,
        )  # fmt: skip
        world.service.build(rules, world.raw_log.end())
    return world


def test_the_fate_of_any_line_is_the_one_in_the_list(grown: World) -> None:
    for version in grown.service.versions():
        fates = list(load_fates(grown.objects, version))
        assert [(fate.shard, fate.offset) for fate in fates] == [
            (shard, offset)
            for shard, end in sorted(version.offsets.items())
            for offset in range(end)
        ]
        for fate in fates:
            assert find_fate(grown.objects, version, fate.shard, fate.offset) == fate
        assert find_fate(grown.objects, version, "1", 1000) is None
        assert find_fate(grown.objects, version, "other", 0) is None


def test_a_version_goes_on_telling_its_own_fates_when_its_successor_tells_others(
    grown: World,
) -> None:
    newest, oldest = grown.service.versions()
    before, after = (find_fate(grown.objects, one, "1", 55) for one in (oldest, newest))
    assert before is not None
    assert after is not None
    assert (before.reason, after.reason) == (None, Reason.SUPERSEDED)


def test_a_layer_that_is_not_what_its_digest_says_is_not_believed(grown: World) -> None:
    newest = grown.service.versions()[0]
    file = grown.service.manifest(newest).layers[-1]
    path = grown.objects.folder.path(file.key)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DatasetCorrupt, match="restore it from a backup"):
        list(load_fates(grown.objects, newest))
