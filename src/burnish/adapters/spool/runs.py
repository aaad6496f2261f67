"""Sorted runs: hashes of identities on disk, each with the position of its name in the ledger.

    header 4096 | blocks of 4096 | first key of each block, 8 each | filter, words of 8

A block holds 170 entries of 24 bytes (hash 16, position 8), ascending by key, which is the hash's
first half, and the block's CRC32C. Only the last two parts are held in memory, some 1.6 bytes per
identity: a Bloom filter with all bits of an identity in one word (Putze, Sanders, Singler 2007),
which sends nearly all newcomers away without a look at the disk, and the first keys, which name the
block for the others. A run is written once, never changed, and read by any thread.
"""

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from burnish.adapters.files import TEMPORARY, Pages, sync_folder
from burnish.adapters.spool.ledger import IdentitiesDamaged

Words = npt.NDArray[np.uint64]  # one number each
Rows = npt.NDArray[np.uint64]  # [entries, 3]: key, the hash's other half, position

SUFFIX: Final = ".run"
_MAGIC: Final = b"BURNISH RUN 1\n\0\0"
_HEADER: Final = struct.Struct("<16s5Q")  # magic, count, span
_CHECK: Final = struct.Struct("<I")
_POSITION: Final = struct.Struct("<Q")
_BLOCK: Final = 4096  # bytes: a page
_ENTRY: Final = 24
_HASH: Final = 16
_PER_BLOCK: Final = 170
_ENTRIES: Final = _PER_BLOCK * _ENTRY  # bytes of a full block
_BITS: Final = 12  # of the filter per identity: about 1 % of the new ones pass
_SYNC_BYTES: Final = 8 << 20  # more unsynced data than this would delay the committer's own sync
_READ_BLOCKS: Final = 64
_ONE, _SIX_BITS, _LOW = np.uint64(1), np.uint64(63), np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_FEW: Final = 8  # hashes for which array operations cost more than they spare
_INT_SHIFTS: Final = (32, 38, 44, 50)  # to four bits of one word
_SHIFTS: Final = tuple(map(np.uint64, _INT_SHIFTS))


class Span(Struct, frozen=True):
    """Which records a run holds, and where the ledger has them."""

    first: int  # offset
    end: int  # first offset after them
    start: int  # position of the first in the ledger
    stop: int  # position after the last

    @property
    def file_name(self) -> str:
        """The name of its file; no other span has it."""
        return f"{self.first:020}-{self.end:020}{SUFFIX}"


class Probe:
    """The hashes of a group, made ready once for the filters of all runs."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.hashes = hashes
        self._few: list[tuple[int, int]] | None = None
        if len(hashes) <= _FEW:
            self._few = [_bits(int.from_bytes(hash_[8:], "little")) for hash_ in hashes]
        else:
            halves = np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 2)
            self._place, self._mask = _filter_bits(halves[:, 1])

    def passing(self, words: Words) -> list[int]:
        """Return the indexes of the hashes that a filter does not rule out."""
        count = len(words)
        if self._few is not None:
            return [
                index
                for index, (place, mask) in enumerate(self._few)
                if words.item((place * count) >> 32) & mask == mask
            ]
        found = words[(self._place * np.uint64(count)) >> _HALF]
        return np.flatnonzero(found & self._mask == self._mask).tolist()


class Run:
    """One file, open for reading.

    Args:
        path: of the file.
        span: what it should hold.

    Raises:
        IdentitiesDamaged: it is broken; it is removed, so that the next start builds it anew.
    """

    def __init__(self, path: Path, span: Span) -> None:
        self.path, self.span = path, span
        with path.open("rb") as file:
            head = file.read(_HEADER.size + _CHECK.size)
            if len(head) < _HEADER.size + _CHECK.size:
                raise self._damaged("its header is missing")
            magic, self.count, *found = _HEADER.unpack_from(head)
            self._blocks, words = _sizes(self.count)
            file.seek(_place(self._blocks))
            index = file.read()
            right = magic == _MAGIC and found == [span.first, span.end, span.start, span.stop]
            if not right or len(index) != 8 * (self._blocks + words):
                raise self._damaged("its header is wrong")
            if _CHECK.pack(_checksum(head[: _HEADER.size], index)) != head[_HEADER.size :]:
                raise self._damaged("its index is wrong")
            self._pages = Pages(os.dup(file.fileno()))
        self._fences = memoryview(index)[: 8 * self._blocks].cast("Q")
        self._words: Words = np.frombuffer(index, np.uint64, offset=8 * self._blocks)

    def find(self, probe: Probe) -> Iterator[tuple[int, int]]:
        """Yield (index in the probe, position in the ledger) of each hash that is here."""
        wanted = [(index, self._range(probe.hashes[index])) for index in probe.passing(self._words)]
        if len(wanted) > 1:
            self._pages.expect((_place(one) for _, blocks in wanted for one in blocks), _BLOCK)
        for index, blocks in wanted:
            for position in self._positions(probe.hashes[index], blocks):
                yield index, position

    def rows(self) -> Iterator[Rows]:
        """Yield all entries, ascending, some at a time."""
        with self.path.open("rb") as file:
            for first in range(0, self._blocks, _READ_BLOCKS):
                file.seek(_place(first))
                yield np.concatenate(
                    [
                        np.frombuffer(self._checked(number, file.read(_BLOCK)), np.uint64)
                        for number in range(first, min(first + _READ_BLOCKS, self._blocks))
                    ]
                ).reshape(-1, 3)

    def _range(self, hash_: bytes) -> range:
        """Return the numbers of the blocks that may hold a hash: one, but for equal keys.

        Those, which only an attack or a test makes, may reach over several.
        """
        key = int.from_bytes(hash_[:8], "little")
        return range(max(bisect_left(self._fences, key) - 1, 0), bisect_right(self._fences, key))

    def _positions(self, hash_: bytes, blocks: range) -> Iterator[int]:
        for number in blocks:
            entries = self._checked(number, self._pages.read(_place(number), _BLOCK))
            at = entries.find(hash_)
            while at >= 0:
                if at % _ENTRY == 0:
                    yield _POSITION.unpack_from(entries, at + _HASH)[0]
                at = entries.find(hash_, at + 1)

    def _checked(self, number: int, block: bytes) -> bytes:
        whole = len(block) == _BLOCK
        if (
            not whole
            or google_crc32c.value(block[:_ENTRIES]) != _CHECK.unpack_from(block, _ENTRIES)[0]
        ):
            raise self._damaged(f"its block {number} is wrong")
        return block[: min(_PER_BLOCK, self.count - number * _PER_BLOCK) * _ENTRY]

    def _damaged(self, what: str) -> IdentitiesDamaged:
        self.path.unlink(missing_ok=True)
        return IdentitiesDamaged(
            f"{self.path} is broken, {what}: start again, it will be rebuilt.", path=str(self.path)
        )


class RunWriter:
    """Writes one run, from rows that come ascending; nothing bears its name before `finish`."""

    def __init__(self, folder: Path, span: Span, *, count: int) -> None:
        self._folder, self._span, self._count = folder, span, count
        blocks, words = _sizes(count)
        self._index: Words = np.zeros(blocks + words, np.uint64)
        self._fences, self._words = self._index[:blocks], self._index[blocks:]
        self._blocks = 0  # written
        self._unsynced = 0
        self._left: Rows = np.empty((0, 3), np.uint64)  # less than a block
        handle, name = mkstemp(prefix=TEMPORARY, dir=folder)
        self._temporary = Path(name)
        self._file = open(handle, "wb")  # noqa: PTH123, SIM115 - a descriptor; `close` does it
        self._file.write(bytes(_BLOCK))

    def add(self, rows: Rows) -> None:
        """Add entries whose keys are not below those before."""
        place, mask = _filter_bits(rows[:, 1])
        np.bitwise_or.at(self._words, (place * np.uint64(len(self._words))) >> _HALF, mask)
        rows = np.concatenate((self._left, rows))
        whole = len(rows) - len(rows) % _PER_BLOCK
        self._write(rows[:whole])
        self._left = rows[whole:]

    def finish(self) -> Path:
        """Write what is left, sync, and give the file its name."""
        if len(self._left):
            self._write(self._left)
        self._file.write(self._index.data)
        span = self._span
        header = _HEADER.pack(_MAGIC, self._count, span.first, span.end, span.start, span.stop)
        self._file.seek(0)
        self._file.write(header + _CHECK.pack(_checksum(header, self._index)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        path = self._folder / span.file_name
        self._temporary.rename(path)
        sync_folder(self._folder)
        return path

    def close(self) -> None:
        """Remove what was written, unless it was finished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write(self, rows: Rows) -> None:
        fences = rows[::_PER_BLOCK, 0]
        self._fences[self._blocks : self._blocks + len(fences)] = fences
        self._blocks += len(fences)
        data = memoryview(rows.tobytes())
        for start in range(0, len(data), _ENTRIES):
            block = bytes(data[start : start + _ENTRIES]).ljust(_ENTRIES, b"\0")
            checksum = _CHECK.pack(google_crc32c.value(block))
            self._file.write(block + checksum.ljust(_BLOCK - _ENTRIES, b"\0"))
        self._unsynced += _BLOCK * len(fences)
        if self._unsynced >= _SYNC_BYTES:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced = 0


def _place(block: int) -> int:
    """Return where a block begins in the file."""
    return _BLOCK * (1 + block)


def _sizes(count: int) -> tuple[int, int]:
    """Return the numbers of blocks and of filter words for so many entries."""
    return -(-count // _PER_BLOCK), max(1, -(-count * _BITS // 64))


def _checksum(header: bytes, index: bytes | Words) -> int:
    return int(google_crc32c.extend(google_crc32c.value(header), index))


def _bits(half: int) -> tuple[int, int]:
    """Return what `_filter_bits` does, of one hash."""
    mask = 0
    for shift in _INT_SHIFTS:
        mask |= 1 << (half >> shift & 63)
    return half & 0xFFFFFFFF, mask


def _filter_bits(half: npt.NDArray[Any]) -> tuple[Words, Words]:
    """Return from hashes' second halves 32 bits that choose a word, and four bits set in it."""
    first, second, third, fourth = (_ONE << ((half >> shift) & _SIX_BITS) for shift in _SHIFTS)
    return half & _LOW, first | second | third | fourth
