"""Files that survive power loss: synced, then named, then the name synced."""

import contextlib
import errno
import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from burnish.kernel.digest import Part

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})  # the disk, or our part of it
TEMPORARY: Final = ".tmp-"  # what begins so was never finished


def write_durably(path: Path, data: bytes, *, room: int = 0) -> None:
    """Write a file so that, after any crash, it is there whole or is as it was before.

    Args:
        path: of the file.
        data: what it is to hold.
        room: bytes that it is to be long, at least: zeros follow the data. A disk that has less to
            give gives none.
    """
    make_folder(path.parent)
    with synced_temporary(path.parent, data, room=room) as temporary:
        temporary.rename(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def synced_temporary(folder: Path, *parts: Part, room: int = 0) -> Iterator[Path]:
    """Lend a synced file with the data, for the caller to rename or link; it is gone afterwards.

    Arguments as of `write_durably`, but that the data may come in parts.
    """
    handle, name = mkstemp(prefix=TEMPORARY, dir=folder)
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.writelines(parts)
            file.flush()
            size = file.tell()
            if room > size:
                _set_aside(file.fileno(), size, room)
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each of them synced into its own parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another thread or process was as quick
        folder.mkdir()
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder: a new, renamed or removed file is so for good."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_unfinished(folder: Path) -> None:
    """Remove what a crash left half-written."""
    for path in folder.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _set_aside(handle: int, size: int, room: int) -> None:
    try:
        os.posix_fallocate(handle, 0, room)
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.ftruncate(handle, size)  # it may have got some of it


class Pages:
    """A file, for reading at any place by any thread, until nobody holds this any more.

    It reads and does not map: mapped pages would count as this process's memory, and come and go
    with the kernel's mood.

    Args:
        handle: of the open file; it is closed with this.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        weakref.finalize(self, os.close, handle)

    def read(self, start: int, size: int) -> bytes:
        """Return bytes from a position on, fewer at the end of the file."""
        return os.pread(self._handle, size, start)

    def expect(self, starts: Iterable[int], size: int) -> None:
        """Have the disk bring bytes that will be read at several places, all at the same time."""
        for start in starts:
            os.posix_fadvise(self._handle, start, size, os.POSIX_FADV_WILLNEED)
