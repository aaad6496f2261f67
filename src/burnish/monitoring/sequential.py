"""A sequential test of a line: may be looked at after every outcome, and still seldom errs.

Bet against "at least `line` of the answers are right", one outcome at a time, with fair odds under
that claim. If the claim holds, nobody can expect to grow rich: the chance that the wealth ever
reaches 1/alpha is at most alpha, however long and however often one looks. (Ville 1939)

We do not know how bad a bad model is, so the stake is spread evenly over alternatives below the
line, and the wealth is the mean of theirs. Each one's is the likelihood ratio of its share of right
answers against the line; against any share above the line it falls the faster. (Robbins 1970)
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALTERNATIVES: Final = 30  # shares of right answers that are bet on; more change no third digit
LOWEST: Final = 0.5  # the lowest alternative, as a share of the line; below it all are caught soon
HIGHEST: Final = 0.95  # the highest one; closer to the line a difference costs thousands of labels
_CERTAIN: Final = 1 - 1e-9  # a line at 1 stands here: its first error alone then decides


def log_wealth(right: ArrayLike, wrong: ArrayLike, *, line: float) -> NDArray[np.float64]:
    """Return the natural logarithm of the wealth after so many right and wrong answers.

    `right` and `wrong` are counts of any shape, and `line` lies in (0, 1]. The order of the
    outcomes does not matter to the wealth, only to what it was on the way.

    >>> [round(float(log_wealth(right, 20 - right, line=0.8)), 1) for right in (17, 12, 8)]
    [-1.9, 1.7, 6.7]
    """
    if not 0 < line <= 1:
        raise ValueError(f"line is {line!r}: give a share above 0, at most 1")
    line = min(line, _CERTAIN)
    ratios = np.linspace(LOWEST, HIGHEST, ALTERNATIVES)
    odds = (1 - ratios * line) / (1 - line)
    each = np.multiply.outer(np.asarray(right, float), np.log(ratios))
    each += np.multiply.outer(np.asarray(wrong, float), np.log(odds))
    mean: NDArray[np.float64] = np.logaddexp.reduce(each, axis=-1) - np.log(ALTERNATIVES)
    return mean
