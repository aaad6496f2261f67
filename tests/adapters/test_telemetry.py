"""Telemetry: every line is JSON and carries its trace; health and metrics answer over HTTP."""

import io
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from burnish.adapters.health import HealthServer
from burnish.adapters.telemetry import (
    bind_trace,
    configure_logging,
    new_registry,
    traceparent_of,
)
from burnish.client.api import ApiClient, ApiProblem
from burnish.kernel.trace import TraceContext, format_traceparent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("ingest", "info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_grave_what_who_and_in_which_trace(lines: io.StringIO) -> None:
    assert bind_trace(f"00-{TRACE}-{SPAN}-01") == TRACE
    structlog.get_logger().info("sealed", records=3)
    (line,) = read(lines)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "sealed",
        "role": "ingest",
        "trace_id": TRACE,
        "records": 3,
    }


def test_a_library_that_logs_its_own_way_comes_out_the_same(lines: io.StringIO) -> None:
    bind_trace(f"00-{TRACE}-{SPAN}-01")
    logging.getLogger("another.package").warning("odd %s", "thing", extra={"key": "value"})
    (line,) = read(lines)
    assert (line["event"], line["level"], line["role"]) == ("odd thing", "warning", "ingest")
    assert (line["trace_id"], line["key"]) == (TRACE, "value")


def test_an_exception_stays_one_line(lines: io.StringIO) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = read(lines)
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_what_is_below_the_level_is_not_written(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    logging.getLogger("another.package").debug("detail")
    assert read(lines) == []


def test_without_a_traceparent_that_holds_a_new_trace_begins(lines: io.StringIO) -> None:
    first, second = bind_trace(None), bind_trace("00-nonsense")
    assert len(first) == len(second) == 32
    assert first != second


def test_a_trace_is_handed_on_with_a_step_of_our_own() -> None:
    context = parse_traceparent(traceparent_of(TRACE))
    assert context is not None
    assert context.trace_id == TRACE
    assert context.span_id != SPAN


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_a_broken_traceparent_is_no_context(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_a_traceparent_survives_the_round_trip_and_a_later_version_is_understood() -> None:
    context = TraceContext(trace_id=TRACE, span_id=SPAN, sampled=False)
    assert parse_traceparent(format_traceparent(context)) == context
    later = parse_traceparent(f"01-{TRACE}-{SPAN}-03-more")
    assert later == TraceContext(trace_id=TRACE, span_id=SPAN, sampled=True)


def test_health_readiness_and_metrics_answer_and_the_port_is_freed() -> None:
    reasons = ["the database does not answer"]
    server = HealthServer("127.0.0.1", 0, registry=new_registry(), reasons=lambda: reasons)
    server.start()
    client = ApiClient(f"http://127.0.0.1:{server.port}")
    try:
        assert client.get("/healthz").json() == {"status": "ok"}
        with pytest.raises(ApiProblem) as refused:
            client.get("/readyz")
        assert refused.value.status == 503
        assert refused.value.document["reasons"] == ["the database does not answer"]
        reasons.clear()
        assert client.get("/readyz", verbose=1).json() == {"status": "ok", "reasons": []}
        assert b"process_resident_memory_bytes" in client.get("/metrics").body
        with pytest.raises(ApiProblem) as missing:
            client.get("/other")
        assert (missing.value.status, missing.value.code) == (404, "not_found")
        client.close()
    finally:
        server.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", server.port))


def test_a_registry_holds_only_what_we_put_there() -> None:
    one, other = new_registry(), new_registry()
    assert one is not other
    assert {metric.name for metric in one.collect()} == {m.name for m in other.collect()}
