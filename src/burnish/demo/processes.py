"""The processes of a running platform, found by who started them and never by name alone."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_role(supervisor: int, role: str) -> int | None:
    """Kill the process that plays a role under a supervisor, by SIGKILL, and return its id.

    None if none plays it now. What is killed is a child of the supervisor for certain: it is held
    by a descriptor before it is looked at, so that its id cannot come to mean another process.
    """
    for pid in _children(supervisor):
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                if pid in _children(supervisor) and _plays(pid, role):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    return pid
            finally:
                os.close(descriptor)
    return None


def _children(parent: int) -> list[int]:
    """Return the ids of the processes that a process has started and that have not ended."""
    found = []
    for thread in Path(f"/proc/{parent}/task").glob("*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(pid) for pid in (thread / "children").read_text().split()]
    return [pid for pid in found if _words(pid)]  # one that has ended has no words left


def _plays(pid: int, role: str) -> bool:
    """Tell whether a process was started as `python -m burnish ROLE`."""
    words = _words(pid)
    return any(words[at : at + 3] == ["-m", "burnish", role] for at in range(len(words)))


def _words(pid: int) -> list[str]:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [word.decode(errors="replace") for word in line.split(b"\0") if word]
