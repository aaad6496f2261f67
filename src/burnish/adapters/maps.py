"""Maps of files that stay open, since what makes a map dear is to touch its pages first.

A build looks into every layer of its parent, here and there, and the next build looks into the same
ones. A page that was looked at stays a matter of nanoseconds for as long as its map is open; in a
new map each page costs some microseconds again, and to close the old one costs as much once more.
"""

import mmap
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Final

MOST: Final = 128  # maps: layers of some hundred million lines; each holds a file descriptor


class Maps:
    """Files looked into by any thread; of those asked for most lately the maps stay open.

    It is for files that never change. One that is deleted is not found any more, though its room
    on the disk is only given back when its map is let go.

    Args:
        most: how many maps stay open; others last as long as somebody holds them.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._maps: OrderedDict[Path, tuple[tuple[int, int], memoryview]] = OrderedDict()
        self._lock = Lock()

    def open(self, path: Path) -> memoryview:
        """Return the bytes, read as they are looked at. Raises OSError as opening it would."""
        with self._lock:
            known = self._maps.pop(path, None)
            found = path.stat()
            file_id = (found.st_dev, found.st_ino)  # of a file that is mapped it is not used again
            if known is None or known[0] != file_id:
                with path.open("rb") as file:
                    view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                known = (file_id, memoryview(view))
            self._maps[path] = known
            if len(self._maps) > self._most:
                self._maps.popitem(last=False)
            return known[1]

    def forget(self, path: Path) -> None:
        """Let go of a file's map: what is deleted is to give its room back."""
        with self._lock:
            self._maps.pop(path, None)
