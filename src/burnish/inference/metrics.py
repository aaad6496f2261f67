"""What Prometheus learns of a serving replica."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from burnish.serving.model import Swap

MICROSECONDS: Final = 1e6
_LATENCY: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
_SWAP: Final = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 1e-2)
_READY: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class InferenceMetrics:
    """The replica's instruments; it is also the follower's observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "burnish_inference_requests",
            "Requests answered.",
            ("model", "version", "code"),
            registry=registry,
        )
        self._latency = Histogram(
            "burnish_inference_request_seconds",
            "From the request's head to its answer.",
            ("model",),
            buckets=_LATENCY,
            registry=registry,
        )
        self._in_flight = Gauge(
            "burnish_inference_in_flight", "Requests being worked on.", registry=registry
        )
        self._dropped = Counter(
            "burnish_prediction_log_dropped",
            "Predictions that the log had no room for.",
            registry=registry,
        )
        self._swaps = Counter(
            "burnish_serving_swaps", "Moves of the pointer.", ("model",), registry=registry
        )
        self._swap_seconds = Histogram(
            "burnish_serving_swap_seconds",
            "Time that a move of the pointer took.",
            ("model",),
            buckets=_SWAP,
            registry=registry,
        )
        self._ready_seconds = Histogram(
            "burnish_serving_ready_seconds",
            "From learning of a release to holding it warm.",
            ("model",),
            buckets=_READY,
            registry=registry,
        )
        self._generation = Gauge(
            "burnish_serving_generation", "Generation that serves.", ("model",), registry=registry
        )
        self._refused = Counter(
            "burnish_serving_refused_releases",
            "Releases that could not be made ready.",
            ("model",),
            registry=registry,
        )

    def answered(self, model: str, version: str, status: int, seconds: float) -> None:
        """Count one answer; `model` must be a known name or empty, or labels grow without end."""
        self._requests.labels(model, version, str(status)).inc()
        self._latency.labels(model).observe(seconds)

    def in_flight(self, count: int) -> None:
        """Note how many requests are being worked on."""
        self._in_flight.set(count)

    def prediction_dropped(self) -> None:
        """Count a prediction that the log had no room for."""
        self._dropped.inc()

    def swapped(self, model: str, swap: Swap) -> None:
        """Hear that another release serves now."""
        self._swaps.labels(model).inc()
        self._swap_seconds.labels(model).observe(swap.swap_us / MICROSECONDS)
        self._generation.labels(model).set(swap.generation)
        if swap.ready_seconds > 0:
            self._ready_seconds.labels(model).observe(swap.ready_seconds)

    def refused(self, model: str, release: str, reason: str) -> None:  # noqa: ARG002  the reason is for logs
        """Hear that a release cannot be served."""
        self._refused.labels(model).inc()

    def exposition(self) -> bytes:
        """Return everything in the registry as Prometheus text."""
        return generate_latest(self._registry)
