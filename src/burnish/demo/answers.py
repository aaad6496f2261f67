"""What serving answered, request by request, and what that adds up to."""

from collections.abc import Collection, Iterable, Sequence
from math import ceil
from typing import Final

from msgspec import Struct

NO_ANSWER: Final = 0  # the status of a request that got none
SWAP_WINDOW_S: Final = 1.0  # around a swap, whose latencies are reported on their own
SAME: Final = 0.01  # probabilities of one photo by one release agree within this, batched or not

Identity = tuple[str, int, str]  # release, generation, model version


class Answer(Struct, frozen=True, kw_only=True):
    """One request to the predict API and its answer."""

    photo: str
    started: float  # seconds, monotonic
    latency_s: float
    status: int  # of HTTP; 0 if there was no answer
    release: str = ""
    generation: int = 0
    model_version: str = ""
    prediction_id: str = ""
    label: str = ""
    probabilities: dict[str, float] = {}
    payload_sha256: str = ""

    @property
    def failed(self) -> bool:
        """Whether the caller got anything but a prediction."""
        return self.status != 200  # noqa: PLR2004

    @property
    def ended(self) -> float:
        """When it came, in seconds, monotonic."""
        return self.started + self.latency_s

    @property
    def identity(self) -> Identity:
        """Which release says that it made this answer."""
        return self.release, self.generation, self.model_version

    @property
    def confidence(self) -> float:
        """The probability of the answered label."""
        return self.probabilities[self.label]


class ServingSummary(Struct, frozen=True, kw_only=True):
    """How serving did; latencies are those of the background traffic, in milliseconds."""

    requests: int
    failed: int
    mixed: int
    p50_ms: float
    p99_ms: float
    p99_swap_ms: float | None  # of requests within a second of a swap; None without a swap


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    if not values:
        raise ValueError("values is empty: a percentile needs at least one")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def mixed(answers: Iterable[Answer], known: Collection[Identity]) -> list[Answer]:
    """Return the answers that cannot be one release's own.

    Such an answer names a combination of release, generation and version that never was, carries
    a prediction id of another generation, or has other numbers than the same release gave for
    the same photo before.
    """
    first: dict[tuple[Identity, str], Answer] = {}
    return [
        answer
        for answer in answers
        if not answer.failed
        and (
            answer.identity not in known
            or answer.prediction_id.partition(".")[0] != str(answer.generation)
            or not _agree(answer, first.setdefault((answer.identity, answer.photo), answer))
        )
    ]


def swap_times(answers: Iterable[Answer]) -> list[float]:
    """Return when each generation but the first was seen first: the swaps, as callers saw them."""
    seen: dict[int, float] = {}
    for answer in answers:
        if not answer.failed:
            seen[answer.generation] = min(answer.ended, seen.get(answer.generation, answer.ended))
    return sorted(seen.values())[1:]


def summarise(
    background: Sequence[Answer], others: Sequence[Answer], known: Collection[Identity]
) -> ServingSummary:
    """Add up the background traffic and the other requests. Raises ValueError without traffic."""
    everything = [*background, *others]
    swaps = swap_times(everything)
    good = [answer for answer in background if not answer.failed]
    near = [
        answer.latency_s
        for answer in good
        if any(
            answer.started - SWAP_WINDOW_S <= swap <= answer.ended + SWAP_WINDOW_S for swap in swaps
        )
    ]
    latencies = [answer.latency_s for answer in good]
    return ServingSummary(
        requests=len(everything),
        failed=sum(answer.failed for answer in everything),
        mixed=len(mixed(everything, known)),
        p50_ms=_ms(percentile(latencies, 0.50)),
        p99_ms=_ms(percentile(latencies, 0.99)),
        p99_swap_ms=_ms(percentile(near, 0.99)) if near else None,
    )


def _agree(one: Answer, other: Answer) -> bool:
    return one.probabilities.keys() == other.probabilities.keys() and all(
        abs(value - other.probabilities[label]) <= SAME
        for label, value in one.probabilities.items()
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
