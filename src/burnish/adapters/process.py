"""What a process asks of the system: to end with the one that started it, to share one heap.

Run as a program it binds itself to its parent and then becomes the command that it is given:
`python -m burnish.adapters.process <parent pid> <command> …`. The kernel keeps the wish over an
exec, so the command itself needs to know nothing of it.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # from <linux/prctl.h>
_M_ARENA_MAX: Final = -8  # from <malloc.h>
_EXIT_ORPHAN: Final = 143  # as a shell reports an end by SIGTERM


def die_with_parent(parent: int, *, with_signal: signal.Signals = signal.SIGKILL) -> bool:
    """Ask the kernel to end this process when its parent dies. Returns False if it is dead already.

    SIGKILL by default: every role survives it, and a role that drains on without its supervisor
    would keep its port and its spool from the next one. Raises OSError if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    return os.getppid() == parent


def share_one_heap() -> None:
    """Have all threads of this process take memory from one heap; call it before they begin.

    By default glibc gives each thread its own, where what one frees is of no use to the others, so
    that a process with several threads grows for hours. Other C libraries have nothing to ask for.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def bound(command: list[str]) -> list[str]:
    """Return a command line that runs `command` bound to the life of the process calling this."""
    return [sys.executable, "-m", "burnish.adapters.process", str(os.getpid()), *command]


def main() -> None:
    """Bind to the parent named on the command line, then become the rest of it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if not die_with_parent(parent):
        sys.exit(_EXIT_ORPHAN)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
