"""Space set aside on the spool's disk, so that a full disk can still be emptied."""

import os
import threading
from pathlib import Path
from typing import Final

import structlog

from burnish.adapters.files import FULL, make_folder

_log = structlog.get_logger("burnish.spool")

_TIGHT_BYTES: Final = 1 << 20  # below this a database beside us fails too, in words of its own
_BLOCK: Final = 512  # what st_blocks counts


class Reserve:
    """A file that takes up space until that is needed to seal, ship, and quarantine.

    On a full disk it is given up. New records are then refused until the space is there again, or
    they would take it: the spool asks `refill` before each write. Safe in any thread.

    Args:
        path: of the file.
        size: in bytes; to be of use, at least a sealed range.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._lock = threading.Lock()
        self._held = False
        make_folder(path.parent)
        if not self.refill():
            _log.warning("spool.no_reserve", path=str(path), bytes=size)

    @property
    def held(self) -> bool:
        """Whether the space is there."""
        return self._held

    def refill(self) -> bool:
        """Take the space again if it was given up; tell whether it is there."""
        if self._held:
            return True
        with self._lock:
            self._held = self._held or self._allocate()
            return self._held

    def relieve(self, error: BaseException) -> bool:
        """Give the space up if a full disk may be why something failed; tell whether it was."""
        full = isinstance(error, OSError) and error.errno in FULL
        with self._lock:
            if not self._held or not (full or self._is_tight()):
                return False
            self._path.unlink(missing_ok=True)
            self._held = False
        _log.error("spool.disk_full", error=repr(error), released_bytes=self._size)
        return True

    def _allocate(self) -> bool:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                found = os.fstat(handle)
                if found.st_size != self._size or found.st_blocks * _BLOCK < self._size:
                    os.ftruncate(handle, self._size)
                    os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True

    def _is_tight(self) -> bool:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize < _TIGHT_BYTES
