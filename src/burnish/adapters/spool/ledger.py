"""The ledger of identities: for each record its whole identity, in the order of offsets, on disk.

    crc32c 4 | offset 8 | identity's hash 16 | body's hash 16 | length of the name 4 | name

All numbers are little-endian; the checksum covers what follows it. Sorted runs point into the
ledger by position: a run's hash says where to look, the name found there says whether it is so.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import google_crc32c
from msgspec import Struct

from burnish.adapters.files import Pages, sync_folder
from burnish.kernel.errors import Conflict

_CHECK: Final = struct.Struct("<I")
_FIELDS: Final = struct.Struct("<Q16s16sI")
_HEAD: Final = _CHECK.size + _FIELDS.size
_MOST_NAMES: Final = 256  # bytes, which nearly all names are shorter than: read with the head


class IdentitiesDamaged(Conflict):
    """A file of identities is not as it was written. It is removed: the next start rebuilds it."""

    code = "spool.identities_damaged"


class Known(Struct, frozen=True, gc=False):
    """A record that is kept: where it lies, and the 16-byte hashes of its identity and body."""

    hash: bytes
    offset: int
    body: bytes


class LedgerView:
    """The ledger as it was at some moment."""

    def __init__(self, path: Path, pages: Pages, size: int) -> None:
        self._path, self._pages, self._size = path, pages, size

    def at(self, position: int) -> tuple[bytes, Known, int]:
        """Return a name, its record, and the next position. Raises IdentitiesDamaged."""
        data = self._pages.read(position, _HEAD + _MOST_NAMES)
        if len(data) >= _HEAD:
            (checksum,) = _CHECK.unpack_from(data)
            offset, hash_, body, length = _FIELDS.unpack_from(data, _CHECK.size)
            end = position + _HEAD + length
            if end <= self._size:
                if len(data) < _HEAD + length:
                    data = self._pages.read(position, _HEAD + length)
                entry = data[_CHECK.size : _HEAD + length]
                if google_crc32c.value(entry) == checksum:
                    return entry[_FIELDS.size :], Known(hash_, offset, body), end
        self._path.unlink(missing_ok=True)
        raise IdentitiesDamaged(
            f"{self._path} is broken at byte {position}: start again, it will be rebuilt.",
            path=str(self._path),
        )

    def expect(self, positions: Iterable[int]) -> None:
        """Have the disk bring several records that will be asked for, all at the same time."""
        self._pages.expect(positions, _HEAD + _MOST_NAMES)

    def scan(self, start: int, end: int) -> Iterator[tuple[int, Known, int]]:
        """Yield each record between two positions, with its own and the next one's.

        Raises:
            IdentitiesDamaged: a record is not as it was written.
        """
        position = start
        while position < end:
            _, known, following = self.at(position)
            yield position, known, following
            position = following


class Ledger:
    """The file, open for appending by one thread.

    Args:
        path: of the file.
        size: bytes that are known to be durable; what follows them was never counted, and is cut.

    Raises:
        IdentitiesDamaged: the file is shorter.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        self._path, self.size = path, size
        is_new = not path.exists()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:
            sync_folder(path.parent)
        if os.fstat(self._handle).st_size < size:
            self.close()
            path.unlink()
            raise IdentitiesDamaged(f"{path} has lost its end: start again.", path=str(path))
        os.ftruncate(self._handle, size)

    def append(self, items: Iterable[tuple[bytes, Known]]) -> list[int]:
        """Add records and sync; return the position of each. After an OSError, `cut`."""
        parts: list[bytes] = []
        positions = []
        end = self.size
        for name, known in items:
            entry = _FIELDS.pack(known.offset, known.hash, known.body, len(name)) + name
            parts += (_CHECK.pack(google_crc32c.value(entry)), entry)
            positions.append(end)
            end += _HEAD + len(name)
        view = memoryview(b"".join(parts))
        while view:
            view = view[os.pwrite(self._handle, view, end - len(view)) :]
        os.fdatasync(self._handle)
        self.size = end
        return positions

    def cut(self, size: int) -> None:
        """Take back what was added beyond a size."""
        os.ftruncate(self._handle, size)
        self.size = size

    def view(self) -> LedgerView:
        """Return what is there now, for reading in any thread."""
        return LedgerView(self._path, Pages(os.dup(self._handle)), self.size)

    def close(self) -> None:
        """Close the file; views stay."""
        os.close(self._handle)
