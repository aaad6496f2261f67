"""The machine's clock and its randomness, for those who take them as arguments."""

import os
import time
from datetime import UTC, datetime

from burnish.kernel.ids import uuid7


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a fresh UUIDv7."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def new_trace_id() -> str:
    """Return a fresh W3C trace id: 32 hex digits."""
    return os.urandom(16).hex()
