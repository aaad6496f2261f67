"""Thousands of requests as some hundred figures that a picture can hold."""

from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Final

from msgspec import Struct

from burnish.demo.answers import Answer, percentile
from burnish.demo.report.tale import Judged
from burnish.kernel.stats import wilson

MOST_BUCKETS: Final = 240  # finer than that no screen shows
MOST_OUTLIERS: Final = 200
SLOW: Final = 0.99  # a request slower than this share of all is drawn on its own
BAND: Final = (0.05, 0.50, 0.95)  # of a second with 20 requests, p99 would be the slowest one


class Latencies(Struct, frozen=True, kw_only=True):
    """The requests that were sent within one span of time."""

    start: float  # seconds since the beginning
    end: float
    n: int  # answered
    failed: int
    low_ms: float | None  # 5 % were faster; None if none was answered
    median_ms: float | None
    high_ms: float | None  # 95 % were faster


class Share(Struct, frozen=True, kw_only=True):
    """How many of the judged answers of one span of time were right, with a 95 % interval."""

    start: float
    end: float
    n: int
    value: float
    low: float
    high: float


def width(span: float) -> float:
    """Return how long a bucket is, in seconds: one, or more for a long story."""
    return float(max(1, ceil(span / MOST_BUCKETS)))


def latencies(answers: Sequence[Answer], began: float, size: float) -> list[Latencies]:
    """Return the buckets that hold any request, in order."""
    sorted_in: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        sorted_in[int((answer.started - began) // size)].append(answer)
    return [_latencies(place * size, size, sorted_in[place]) for place in sorted(sorted_in)]


def runs(buckets: Sequence[Latencies]) -> list[list[Latencies]]:
    """Return the answered buckets in unbroken runs: over a gap no line is drawn."""
    found: list[list[Latencies]] = []
    for bucket in buckets:
        if bucket.median_ms is None:
            continue
        if found and abs(found[-1][-1].end - bucket.start) < (bucket.end - bucket.start) / 2:
            found[-1].append(bucket)
        else:
            found.append([bucket])
    return found


def slowest(answers: Sequence[Answer]) -> list[Answer]:
    """Return the slowest hundredth of what was answered, at most `MOST_OUTLIERS`, slowest first."""
    good = sorted(
        (answer for answer in answers if not answer.failed),
        key=lambda answer: answer.latency_s,
        reverse=True,
    )
    return good[: min(MOST_OUTLIERS, round(len(good) * (1 - SLOW)))]


def shares(judged: Sequence[Judged], began: float, size: float) -> list[Share]:
    """Return how many were right in each bucket that holds any; no two releases in one."""
    sorted_in: defaultdict[tuple[int, int], list[Judged]] = defaultdict(list)
    for one in judged:
        sorted_in[int((one.at - began) // size), one.generation].append(one)
    return [share(members, began) for _, members in sorted(sorted_in.items())]


def share(judged: Sequence[Judged], began: float) -> Share:
    """Return how many were right. Raises ValueError if none was judged."""
    if not judged:
        raise ValueError("judged is empty: a share needs at least one answer")
    right = sum(one.right for one in judged)
    low, high = wilson(right, len(judged))
    return Share(
        start=min(one.at for one in judged) - began,
        end=max(one.at for one in judged) - began,
        n=len(judged),
        value=right / len(judged),
        low=low,
        high=high,
    )


def _latencies(start: float, size: float, answers: Sequence[Answer]) -> Latencies:
    good = [answer.latency_s * 1000 for answer in answers if not answer.failed]
    low, median, high = (percentile(good, part) if good else None for part in BAND)
    return Latencies(
        start=start,
        end=start + size,
        n=len(good),
        failed=len(answers) - len(good),
        low_ms=low,
        median_ms=median,
        high_ms=high,
    )
