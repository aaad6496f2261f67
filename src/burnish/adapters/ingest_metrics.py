"""The feedback front's numbers for Prometheus."""

from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From the fastest disk's sync to where a client gives up.
_SYNC_S: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30)
# From a local directory to the longest request that `objects.timeout_seconds` allows by default.
_UPLOAD_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
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


class Uploads(Protocol):
    """What sends objects to the store."""

    def failing_s(self) -> float:
        """Return for how many seconds it has failed, 0 if it goes well."""
        ...


class Waiting(Uploads, Protocol):
    """The quarantine: uploads, and what waits for them."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes kept locally, not yet in the store."""
        ...


class Reserve(Protocol):
    """The space set aside for a full disk."""

    @property
    def held(self) -> bool:
        """Whether it is there."""
        ...


class IngestMetrics:
    """Implements the port `Meter` on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"burnish_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"burnish_{name}", text, labels, buckets=buckets, registry=registry)

        self._accepted = counter("feedback_accepted", "Records made durable.", "model")
        self._accepted_of: dict[str, Counter] = {}  # a look-up by labels costs more than counting
        self._duplicate = counter(
            "feedback_duplicate", "Records that were there already, with the same body.", "model"
        )
        self._quarantined = counter(
            "feedback_quarantined", "Records kept in quarantine, by why.", "code", "model"
        )
        self._rejected = counter(
            "feedback_rejected",
            "Good records that had no room, and requests refused unread, by why.",
            "code",
            "model",
        )
        self._sync = histogram("spool_sync_seconds", "One group's sync to disk.", _SYNC_S)
        self._group = histogram("spool_group_records", "Records that shared one sync.", _RECORDS)
        self._seal = histogram(
            "raw_log_seal_seconds", "Writing one raw log object locally, synced.", _UPLOAD_S
        )
        self._sealed = counter("raw_log_sealed_records", "Records sealed into raw log objects.")
        self._upload = histogram(
            "upload_seconds", "One successful attempt to store an object.", _UPLOAD_S, "what"
        )
        self._failures = counter(
            "upload_failures", "Failed attempts to store or list an object; each retried.", "what"
        )

    def watch(self, fill: Fill, *, reserve: Reserve, shipper: Uploads, quarantine: Waiting) -> None:
        """Show a spool's backlog, and how its uploads go."""

        def gauge(name: str, text: str, read: Callable[[], float]) -> None:
            Gauge(f"burnish_{name}", text, registry=self._registry).set_function(read)

        gauge("spool_backlog_records", "Records not yet in the raw log.", lambda: fill.records)
        gauge("spool_backlog_bytes", "Bytes not yet in the raw log.", lambda: fill.bytes)
        gauge(
            "ingestion_lag_seconds", "Age of the oldest record not yet in the raw log.", fill.lag_s
        )
        gauge(
            "spool_reserve_held",
            "1 if disk space is set aside; 0 on a full disk.",
            lambda: reserve.held,
        )
        gauge(
            "quarantine_waiting_bytes",
            "Bytes of the quarantine not yet in the object store.",
            lambda: quarantine.waiting_bytes,
        )
        failing = Gauge(
            "burnish_upload_failing_seconds",
            "For how long uploads have failed, 0 if they go well.",
            ["what"],
            registry=self._registry,
        )
        failing.labels("raw_log").set_function(shipper.failing_s)
        failing.labels("quarantine").set_function(quarantine.failing_s)

    def accepted(self, model: str) -> None:
        """Count one record made durable."""
        one = self._accepted_of.get(model)
        if one is None:
            one = self._accepted_of[model] = self._accepted.labels(model)
        one.inc()

    def duplicate(self, model: str) -> None:
        """Count one record that was already there."""
        self._duplicate.labels(model).inc()

    def quarantined(self, code: str, model: str) -> None:
        """Count one record kept in quarantine."""
        self._quarantined.labels(code, model).inc()

    def rejected(self, code: str, model: str = "") -> None:
        """Count a good record that the log did not take, or a request refused unread: no model."""
        self._rejected.labels(code, model).inc()

    def synced(self, seconds: float, records: int) -> None:
        """Note one group commit."""
        self._sync.observe(seconds)
        self._group.observe(records)

    def sealed(self, seconds: float, records: int) -> None:
        """Note one range of records sealed."""
        self._seal.observe(seconds)
        self._sealed.inc(records)

    def uploaded(self, what: str, seconds: float) -> None:
        """Note one object stored."""
        self._upload.labels(what).observe(seconds)

    def upload_failed(self, what: str) -> None:
        """Count one failed attempt."""
        self._failures.labels(what).inc()

    def render(self) -> bytes:
        """Return everything in the text format."""
        return generate_latest(self._registry)
