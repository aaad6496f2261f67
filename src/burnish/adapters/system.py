"""The machine's clock and its randomness, for those who take them as arguments."""

import getpass
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


def user_name() -> str:
    """Return who runs this process, as the system calls them; by number if it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under any number
        return f"uid-{os.getuid()}"
