import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.layers import Index, Layer, layer
from burnish.datasets.lines import empty
from burnish.datasets.sieves import Needles, passing, sieve_of
from burnish.datasets.stored import from_bytes, to_parts
from burnish.kernel.digest import Part

KEYS = st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1), max_size=60)


def keys_of(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.uint64)


@given(has=KEYS, wanted=KEYS)
def test_an_index_answers_the_same_with_its_sieve_as_without(
    has: list[int], wanted: list[int]
) -> None:
    plain = Index.of(keys_of(has), np.arange(len(has)))
    sieved = Index(keys=plain.keys, lines=plain.lines, sieve=sieve_of(plain.keys))
    asked = np.unique(keys_of(wanted + has[:3]))
    for index in (plain, sieved):
        places, lines = index.matches(Needles(asked))
        assert sorted(lines.tolist()) == [line for line, key in enumerate(has) if key in asked]
        assert [has[line] for line in lines.tolist()] == asked[places].tolist()


@pytest.mark.parametrize("count", [3, 1000, 131_071, 131_072])
def test_a_sieve_holds_nearly_all_others_back_and_takes_little_room(count: int) -> None:
    chance = np.random.default_rng(7)
    has, others = (np.sort(chance.integers(0, 2**64, n, np.uint64)) for n in (count, 100_000))
    sieve = sieve_of(has)
    assert passing(sieve, Needles(has)).tolist() == list(range(count))
    assert len(passing(sieve, Needles(others))) < len(others) / 100
    assert sieve.nbytes <= max(4 * count, 16)


def test_a_layer_that_was_stored_before_there_were_sieves_is_read_without() -> None:
    none = keys_of([])
    header, arrays = from_bytes(whole(layer(0, empty(), subjects=none, identities=none).to_parts()))
    kept = {name: array for name, array in arrays.items() if not name.endswith(".words")}
    assert len(kept) == len(arrays) - 3
    assert Layer.from_bytes(whole(to_parts(header, kept))).subjects.sieve is None


def whole(parts: list[Part]) -> memoryview:
    return memoryview(b"".join(parts))
