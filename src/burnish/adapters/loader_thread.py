"""What the loader's thread asks of the system: a lower priority, and memory given back.

A lower one, not the lowest. The loader holds the interpreter's lock now and then, and while a busy
machine keeps a thread of lowest priority off its processors, everybody who answers requests waits
for that lock: with as many other busy processes as processors, loads at nice 19 stalled answers
for up to 2 s, at SCHED_IDLE for 3 s, at equal priority for some 50 ms.
"""

import ctypes
import os
import threading
from contextlib import suppress
from typing import Final

YIELDING: Final = 1  # the nice value: gives way among equals, is never starved


def calm() -> None:
    """Lower the calling thread's priority a little; threads that it starts inherit that.

    Linux keeps a nice value per thread, and a thread's id is what `setpriority` takes for it.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), YIELDING)


def trim() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
