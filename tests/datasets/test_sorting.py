"""Quick sorting is in the order of the slow one."""

import gc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.sorting import ordered, repeated
from burnish.datasets.uncollected import uncollected

KEYS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40)


@given(KEYS)
def test_keys_are_ordered_as_lexsort_does_however_many_are_equal(
    keys: list[tuple[int, int]],
) -> None:
    one, other = np.array(keys, np.int64).reshape(-1, 2).T

    assert ordered(one).tolist() == np.argsort(one, kind="stable").tolist()
    assert ordered(one, other).tolist() == np.lexsort((other, one)).tolist()


@given(KEYS)
def test_a_key_is_repeated_if_it_comes_more_than_once(keys: list[tuple[int, int]]) -> None:
    names = [key for key, _ in keys]

    assert repeated(np.array(names, np.uint64)).tolist() == [
        names.count(name) > 1 for name in names
    ]


def test_cycles_are_looked_for_again_after_a_time_without() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()

    assert gc.isenabled()
