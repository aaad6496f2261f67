"""What the loader's thread asks of the system: the lowest priority, and memory given back."""

import ctypes
import os
import threading
from contextlib import suppress
from typing import Final

LOWEST: Final = 19  # the nice value that yields to everybody else


def calm() -> None:
    """Give the calling thread the lowest priority; threads that it starts inherit that.

    Linux keeps a nice value per thread, and a thread's id is what `setpriority` takes for it.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)


def trim() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
