"""Trace context (W3C): the one id that ties a correction to the release it caused."""

import re

from msgspec import Struct

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION = "00"  # the version that we speak; a later one is read as far as we know it
_FORBIDDEN_VERSION = "ff"
_SAMPLED = 1


class TraceContext(Struct, frozen=True, kw_only=True):
    """Where in which trace a caller stands."""

    trace_id: str  # 32 hex digits, not all zero
    span_id: str  # 16 hex digits, not all zero: the caller's own step
    sampled: bool = True


def parse_traceparent(text: str | None) -> TraceContext | None:
    """Return what a `traceparent` header says, None if it says nothing that holds.

    A broken header never breaks a request: the standard asks to start a new trace instead.

    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_id
    '00f067aa0ba902b7'
    >>> parse_traceparent("garbage") is None
    True
    """
    match = _TRACEPARENT.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == _FORBIDDEN_VERSION or (version == _VERSION and rest):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id=trace_id, span_id=span_id, sampled=bool(int(flags, 16) & _SAMPLED))


def format_traceparent(context: TraceContext) -> str:
    """Return the `traceparent` header that hands a context on.

    >>> format_traceparent(TraceContext(trace_id="a" * 32, span_id="b" * 16))
    '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01'
    """
    return f"{_VERSION}-{context.trace_id}-{context.span_id}-{int(context.sampled):02x}"
