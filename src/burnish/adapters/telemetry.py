"""Logs as JSON lines on stderr, each with its trace id; metrics in a registry of our own."""

import logging
import os
import sys
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from structlog.typing import EventDict, Processor

from burnish.adapters.system import new_trace_id
from burnish.kernel.trace import TraceContext, format_traceparent, parse_traceparent

_SPAN_BYTES = 8
_CHATTY = ("alembic", "dbos", "httpx", "uvicorn.error")  # libraries whose progress is no news

# Without local variables: they hold secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logging(role: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process, our own and the libraries', to a stream as JSON.

    A line has `timestamp` (RFC 3339, UTC), `level`, `event`, `role`, `trace_id` where one is
    bound, and what the caller adds. Called again, it replaces what it set up before.
    """

    def name_role(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_role,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in _CHATTY:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def bind_trace(traceparent: str | None) -> str:
    """Bind the trace of a request to this context, a new one if it names none; return its id."""
    context = parse_traceparent(traceparent)
    trace_id = context.trace_id if context else new_trace_id()
    structlog.contextvars.bind_contextvars(trace_id=trace_id)
    return trace_id


def traceparent_of(trace_id: str) -> str:
    """Return the header that hands a trace on to the next process, with a new step of ours."""
    span = os.urandom(_SPAN_BYTES).hex()
    return format_traceparent(TraceContext(trace_id=trace_id, span_id=span))


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of this process, and nothing that a library slipped in."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
