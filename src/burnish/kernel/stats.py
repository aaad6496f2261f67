"""The few statistics that every room shares."""

from math import sqrt

from scipy.special import betainc, ndtri


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion. Raises ValueError if trials < 1.

    (Wilson 1927)

    >>> [round(edge, 3) for edge in wilson(88, 100)]
    [0.802, 0.93]
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}: an interval needs at least one trial")
    z = float(ndtri((1 + confidence) / 2))
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def p_better(fixes: int, breaks: int) -> float:
    """Return the probability that a change fixes more than it breaks, given what was seen.

    `fixes` and `breaks` count the paired examples on which only the new, only the old was right.
    The posterior of the share of fixes under a uniform prior is Beta(1 + fixes, 1 + breaks);
    this is its mass above one half.

    >>> p_better(0, 0)
    0.5
    >>> round(p_better(20, 8), 3)
    0.988
    """
    return float(1 - betainc(1 + fixes, 1 + breaks, 0.5))
