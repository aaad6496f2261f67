"""Quick sorting is in the order of the slow one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.sorting import ordered, twins

KEYS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40)


@given(KEYS)
def test_keys_are_ordered_as_lexsort_does_however_many_are_equal(
    keys: list[tuple[int, int]],
) -> None:
    one, other = np.array(keys, np.int64).reshape(-1, 2).T

    assert ordered(one).tolist() == np.argsort(one, kind="stable").tolist()
    assert ordered(one, other).tolist() == np.lexsort((other, one)).tolist()


@given(KEYS)
def test_of_sorted_keys_those_are_twins_that_come_more_than_once(
    keys: list[tuple[int, int]],
) -> None:
    names = sorted(key for key, _ in keys)

    assert twins(np.array(names, np.uint64)).tolist() == [names.count(name) > 1 for name in names]
