"""Figures and outcomes as a reader says them."""

from statistics import median
from typing import Final

from burnish.demo.result import Result, Round

NOTHING: Final = "-"
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHORT_S: Final = 10.0  # seconds below which a tenth says too little


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage.

    >>> percent(0.896), percent(None)
    ('89.6%', '-')
    """
    return NOTHING if value is None else f"{value:.{digits}%}"


def interval(low: float | None, high: float | None) -> str:
    """Return a 95 % interval of a share, or nothing.

    >>> interval(0.841, 0.934)
    '84.1 to 93.4%'
    """
    return "" if low is None or high is None else f"{low * 100:.1f} to {high * 100:.1f}%"


def seconds(value: float | None) -> str:
    """Return a duration with as many digits as it deserves.

    >>> seconds(0.042), seconds(9.31), seconds(75.2)
    ('0.04 s', '9.3 s', '75 s')
    """
    if value is None:
        return NOTHING
    digits = 2 if value < 1 else 1 if value < SHORT_S else 0
    return f"{value:.{digits}f} s"


def milliseconds(value: float | None) -> str:
    """Return a latency.

    >>> milliseconds(11.94), milliseconds(104.3)
    ('11.9 ms', '104 ms')
    """
    if value is None:
        return NOTHING
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"  # noqa: PLR2004


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "request"), counted(2934, "request")
    ('1 request', '2,934 requests')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def spelled(count: int) -> str:
    """Return a small number as a word.

    >>> spelled(3), spelled(12)
    ('three', '12')
    """
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def released(result: Result) -> list[Round]:
    """Return the rounds whose model went to production and whose accuracy is known."""
    return [turn for turn in result.rounds if turn.promoted and turn.holdout_accuracy is not None]


def swap_us(result: Result) -> float | None:
    """Return the median time that a pointer took to move, in µs."""
    times = [swap.swap_us for swap in result.swaps if swap.swap_us is not None]
    return median(times) if times else None


def headline(result: Result) -> str:
    """Return the outcome in one sentence."""
    if result.faults:
        return f"The story did not hold: {result.faults[0]}"
    turns = released(result)
    requests = counted(result.serving.requests, "request")
    served = f"and not one of {requests} failed"
    if len(turns) < 2:  # noqa: PLR2004  (a rise takes a first and a last)
        return f"The loop ran, {served}."
    first, last = percent(turns[0].holdout_accuracy), percent(turns[-1].holdout_accuracy)
    rounds = spelled(len(turns) - 1) + (" round" if len(turns) == 2 else " rounds")  # noqa: PLR2004
    return f"From {first} to {last} right in {rounds} of corrections, {served}."


def lede(result: Result) -> str:
    """Return what became of the bad candidate, or nothing if there was none."""
    said = []
    if result.refused is not None:
        said.append("A candidate trained on shuffled labels was refused by the gates.")
    if result.rollback is not None:
        back = result.rollback
        fell = ""
        if back.accuracy is not None:
            fell = f"it was right in {percent(back.accuracy, 0)} of the sampled answers, and "
        said.append(
            f"Forced into production all the same, {fell}it was rolled back automatically:"
            f" {back.target} answered again {seconds(back.seconds)} after the decision."
        )
    return " ".join(said)
