"""docs/metrics.md says what the feedback front shows: neither more nor less."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from burnish.adapters.ingest_metrics import IngestMetrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class Nothing:
    """A spool, a shipper and a quarantine in which nothing has happened yet."""

    records = bytes = waiting_bytes = 0
    held = True

    def lag_s(self) -> float:
        return 0.0

    failing_s = lag_s


@pytest.fixture(name="registry")
def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    nothing = Nothing()
    metrics.watch(nothing, reserve=nothing, shipper=nothing, quarantine=nothing)
    metrics.accepted("laundry")
    metrics.duplicate("laundry")
    metrics.quarantined("unknown_label", "laundry")
    metrics.rejected("auth.required")
    metrics.synced(0.001, 3)
    metrics.sealed(0.01, 3)
    metrics.uploaded("raw_log", 0.01)
    metrics.upload_failed("quarantine")
    return registry


def rows(registry: CollectorRegistry) -> list[str]:
    return [
        f"| `{metric.name}` | {metric.type} | {labels(metric.samples)} | {metric.documentation} |"
        for metric in sorted(registry.collect(), key=lambda metric: metric.name)
    ]


def labels(samples: list[Sample]) -> str:
    names = sorted({name for sample in samples for name in sample.labels} - {"le"})
    return ", ".join(f"`{name}`" for name in names)


def test_the_page_lists_every_metric_with_its_labels_and_meaning(registry: Any) -> None:
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| `burnish_")]
    assert listed == rows(registry)


def test_what_is_counted_is_shown(registry: Any) -> None:
    def value(name: str, **labels: str) -> float | None:
        found: float | None = registry.get_sample_value(f"burnish_{name}", labels)
        return found

    assert value("feedback_accepted_total", model="laundry") == 1
    assert value("feedback_quarantined_total", code="unknown_label", model="laundry") == 1
    assert value("spool_group_records_sum") == 3
    assert value("raw_log_sealed_records_total") == 3
    assert value("upload_seconds_count", what="raw_log") == 1
    assert value("upload_failures_total", what="quarantine") == 1
    assert value("upload_failing_seconds", what="raw_log") == 0
    assert value("spool_reserve_held") == 1
