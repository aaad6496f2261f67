"""Sorting of keys of which few are equal, as those of a whole log are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.lines import Mask, Numbers


def ordered(first: NDArray[Any], *others: NDArray[Any]) -> Numbers:
    """Return the order by a key, then by others, then by place: as `np.lexsort` does, backwards.

    A sort that need not be stable takes a tenth of the time; only ties are sorted again.
    """
    order = np.argsort(first)
    tied = twins(first[order])
    equal = np.sort(order[tied])
    order[tied] = equal[np.lexsort([key[equal] for key in (*others[::-1], first)])]
    return order


def twins(keys: NDArray[Any]) -> Mask:
    """Tell of sorted keys which of them come more than once."""
    same = np.zeros(len(keys) + 1, bool)
    same[1:-1] = keys[1:] == keys[:-1]
    return same[1:] | same[:-1]
