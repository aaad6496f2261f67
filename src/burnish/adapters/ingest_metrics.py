"""The feedback front's numbers for Prometheus."""

from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30)
_RECORDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


class Fill(Protocol):
    """What the gauges read: the spool's backlog."""

    @property
    def records(self) -> int:
        """Records not yet persisted."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes not yet persisted."""
        ...

    def lag_s(self) -> float:
        """Return the age of the oldest of them, in seconds."""
        ...


class IngestMetrics:
    """Implements the port `Meter` on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"burnish_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"burnish_{name}", text, buckets=buckets, registry=registry)

        self._accepted = counter("feedback_accepted", "Records made durable.", "model")
        self._duplicate = counter("feedback_duplicate", "Records that were there.", "model")
        self._quarantined = counter(
            "feedback_quarantined", "Records kept in quarantine.", "code", "model"
        )
        self._rejected = counter("feedback_rejected", "Requests refused unread.", "code")
        self._sync = histogram("spool_sync_seconds", "One group's sync.", _SECONDS)
        self._group = histogram("spool_group_records", "Records of one group.", _RECORDS)
        self._upload = histogram("raw_log_upload_seconds", "Store and list an object.", _SECONDS)
        self._failures = counter("raw_log_upload_failures", "Failed attempts, each retried.")

    def watch(self, fill: Fill) -> None:
        """Show a spool's backlog."""

        def gauge(name: str, text: str, read: Callable[[], float]) -> None:
            Gauge(f"burnish_{name}", text, registry=self._registry).set_function(read)

        gauge("spool_backlog_records", "Records not yet persisted.", lambda: fill.records)
        gauge("spool_backlog_bytes", "Bytes not yet persisted.", lambda: fill.bytes)
        gauge("ingestion_lag_seconds", "Age of the oldest unpersisted record.", fill.lag_s)

    def accepted(self, model: str) -> None:
        """Count one record made durable."""
        self._accepted.labels(model).inc()

    def duplicate(self, model: str) -> None:
        """Count one record that was already there."""
        self._duplicate.labels(model).inc()

    def quarantined(self, code: str, model: str) -> None:
        """Count one record kept in quarantine."""
        self._quarantined.labels(code, model).inc()

    def rejected(self, code: str) -> None:
        """Count one request refused unread."""
        self._rejected.labels(code).inc()

    def synced(self, seconds: float, records: int) -> None:
        """Note one group commit."""
        self._sync.observe(seconds)
        self._group.observe(records)

    def uploaded(self, seconds: float) -> None:
        """Note one object stored and listed."""
        self._upload.observe(seconds)

    def upload_failed(self) -> None:
        """Count one failed attempt."""
        self._failures.inc()

    def render(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self._registry)
