"""One `burnish up` for one data directory: a lock that the kernel frees when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from burnish.kernel.errors import Conflict

FILE_NAME: Final = "up.lock"


class AlreadyUp(Conflict):
    """Another process supervises this data directory."""

    code = "up.running"


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock meanwhile. Raises AlreadyUp, naming the holder's pid.

    The lock is the kernel's (flock), the file only says who: a file left behind blocks nobody.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = path.read_text(encoding="ascii").strip() or "unknown"
            raise AlreadyUp(
                f"Another `burnish up` (pid {holder}) runs on {data_dir}: stop it first, or give "
                "this one another --data.",
                pid=holder,
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes meanwhile, waiting for it as long as it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
