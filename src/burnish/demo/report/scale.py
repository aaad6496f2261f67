"""From values to places in a picture, and the values worth a line."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final

from msgspec import Struct

STEPS: Final = (1.0, 2.0, 5.0, 10.0)
TIME_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds
MINUTE: Final = 60
SLACK: Final = 1e-9  # of a step: what floating point may miss by


class Linear(Struct, frozen=True):
    """Equal differences are equal lengths."""

    low: float
    high: float
    start: float  # where `low` is drawn
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value is drawn; one outside the range at the edge."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


class Log(Struct, frozen=True):
    """Equal ratios are equal lengths; `low` must be above 0."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value is drawn; one outside the range at the edge."""
        inner = Linear(log10(self.low), log10(self.high), self.start, self.end)
        return inner(log10(max(value, self.low)))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return round values between two bounds, both included; `about` so many, never above twice.

    >>> ticks(0.62, 0.94, 4)
    [0.7, 0.8, 0.9]
    """
    if high <= low:
        return [low]
    rough = (high - low) / about
    base = 10 ** floor(log10(rough))
    step = next(base * step for step in STEPS if base * step >= rough * (1 - SLACK))
    return _multiples(low, high, step)


def time_ticks(low: float, high: float, about: int) -> list[float]:
    """Return round seconds between two bounds, as a clock has them.

    >>> time_ticks(12, 100, 4)
    [30, 60, 90]
    """
    if high <= low:
        return [low]
    rough = (high - low) / about
    step = next((step for step in TIME_STEPS if step >= rough), TIME_STEPS[-1])
    while step < rough:
        step *= 2
    return _multiples(low, high, step)


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 of each power of ten between two bounds, both included.

    >>> log_ticks(4, 60)
    [5.0, 10.0, 20.0, 50.0]
    """
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    values = [round(step * 10.0**power, 12) for power in powers for step in STEPS[:-1]]
    return [value for value in values if low * (1 - SLACK) <= value <= high * (1 + SLACK)]


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> clock(0), clock(75.4)
    ('0:00', '1:15')
    """
    minutes, rest = divmod(round(seconds), MINUTE)
    return f"{minutes}:{rest:02}"


def rows(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Return a row for each label so that neither a label nor a line meets another label.

    `spans` are (start, end), in order of their starts. A line hangs from each label's start,
    through every row beneath: the lowest label that is still in its way is what it goes below.

    >>> rows([(0, 50), (20, 70), (60, 90), (100, 150)])
    [0, 1, 2, 0]
    """
    ends: list[float] = []  # of the last label in each row
    chosen = []
    for start, end in spans:
        row = max((row + 1 for row, taken in enumerate(ends) if taken > start), default=0)
        ends[row:] = [end]
        chosen.append(row)
    return chosen


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = ceil(low / step - SLACK), floor(high / step + SLACK)
    return [round(count * step, 12) for count in range(first, last + 1)]
