import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.layers import Index
from burnish.datasets.sieves import passing, sieve_of

KEYS = st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1), max_size=60)


def keys_of(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.uint64)


@given(has=KEYS, wanted=KEYS)
def test_an_index_answers_the_same_with_its_sieve_as_without(
    has: list[int], wanted: list[int]
) -> None:
    plain = Index.of(keys_of(has), np.arange(len(has)))
    asked = np.unique(keys_of(wanted + has[:3]))
    places, lines = plain.matches(asked)
    assert sorted(lines.tolist()) == [n for n, key in enumerate(has) if key in set(asked.tolist())]
    assert [has[line] for line in lines.tolist()] == asked[places].tolist()
    sieves = sieve_of(plain.keys)
    for sieve in (sieves, sieves[0]):  # layers of earlier versions have the first one only
        sieved = Index(keys=plain.keys, lines=plain.lines, sieve=sieve)
        for mine, others in zip(sieved.matches(asked), (places, lines), strict=True):
            assert mine.tolist() == others.tolist()


def test_a_sieve_holds_nearly_all_others_back_and_takes_little_room() -> None:
    chance = np.random.default_rng(7)
    has, others = (chance.integers(0, 2**64, 100_000, np.uint64) for _ in range(2))
    sieve = sieve_of(np.sort(has))
    assert len(passing(sieve, has)) == len(has)
    assert len(passing(sieve[0], others)) < len(others) / 8
    assert len(passing(sieve, others)) < len(others) / 8**3
    assert sieve.nbytes <= 2 * 3 * len(has)
