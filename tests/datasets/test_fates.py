"""What became of one record is found without reading what became of all."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets import manifest
from burnish.datasets.model import DatasetCorrupt, Fate, Split
from burnish.kernel.objects import ObjectNotFound
from support.samples import dataset


class Shelf:
    """Objects in memory, and how often they were read."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.reads = 0

    def put(self, key: str, data: bytes) -> None:
        assert self.kept.setdefault(key, data) == data

    def get(self, key: str) -> bytes:
        self.reads += 1
        if key not in self.kept:
            raise ObjectNotFound.of("object", key)
        return self.kept[key]

    def exists(self, key: str) -> bool:
        return key in self.kept

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.kept if key.startswith(prefix))

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: timedelta) -> str:
        raise NotImplementedError


def fate(place: tuple[str, int]) -> Fate:
    shard, offset = place
    return Fate(
        shard=shard, offset=offset, source="app", id=f"{offset}", subject="s", split=Split.TRAIN
    )


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "BLOCK_LINES", 3)


PLACES = st.tuples(st.sampled_from(["0", "1", "a"]), st.integers(0, 30))


@given(places=st.sets(PLACES), asked=PLACES)
def test_the_fate_of_any_line_is_found_in_two_reads(
    places: set[tuple[str, int]], asked: tuple[str, int]
) -> None:
    shelf, version = Shelf(), dataset(1)
    fates = [fate(place) for place in sorted(places)]
    blocks = manifest.store_fates(shelf, version.digest, fates)
    manifest.store_fate_index(shelf, version, blocks)
    found = manifest.find_fate(shelf, version, *asked)
    assert found == (fate(asked) if asked in places else None)
    assert shelf.reads <= 2
    again: list[Any] = [
        one for block in blocks for one in manifest.load_lines(shelf, block.file, Fate)
    ]
    assert again == fates


def test_a_block_that_is_not_what_its_digest_says_is_not_believed() -> None:
    shelf, version = Shelf(), dataset(1)
    blocks = manifest.store_fates(shelf, version.digest, [fate(("0", 1))])
    manifest.store_fate_index(shelf, version, blocks)
    shelf.kept[blocks[0].file.key] += b" "
    with pytest.raises(DatasetCorrupt, match="restore it from a backup"):
        manifest.find_fate(shelf, version, "0", 1)
