"""Records that wait for their delivery: in memory, or on local disk in an outbox."""

import fcntl
import os
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol
from zlib import crc32

_SUFFIX: Final = ".ndjson"
_SEGMENT_BYTES: Final = 1 << 20  # a file at or above this is closed; delivered ones are deleted
_MARK: Final = 9  # bytes before a line: its CRC32 in hex digits, and a space
_LINE: Final = re.compile(rb"(?=([0-9a-f]{8}) (.*)\n)")  # perhaps one, at any place


class OutboxError(Exception):
    """The outbox cannot do what it is for; the record in hand is not kept."""


class BufferFull(OutboxError):
    """As much waits for delivery as may: the platform does not take it, or not fast enough."""


class OutboxLocked(OutboxError):
    """Another client has this outbox; two would destroy each other's work."""


class OutboxDamaged(OutboxError):
    """A file of the outbox is broken where no crash breaks one."""


class Buffer(Protocol):
    """Lines in the order in which they came, until they are dropped from the front."""

    @property
    def size(self) -> int:
        """Bytes that they take."""
        ...

    def __len__(self) -> int:
        """Return how many lines wait."""
        ...

    def append(self, lines: Sequence[bytes]) -> None:
        """Keep lines, all or none. Raises OutboxError."""
        ...

    def head(self, records: int, size: int) -> list[bytes]:
        """Return the first lines: up to so many and so many bytes, but one at least."""
        ...

    def drop(self, count: int) -> None:
        """Forget the first lines; `head` has shown them."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


class Memory:
    """A buffer that ends with the process."""

    def __init__(self, max_bytes: int) -> None:
        self._lines: deque[bytes] = deque()
        self._max = max_bytes
        self.size = 0

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, lines: Sequence[bytes]) -> None:
        """Keep lines, all or none. Raises BufferFull."""
        size = sum(map(len, lines))
        if self._lines and self.size + size > self._max:
            raise _full("memory", len(self), self._max)
        self._lines.extend(lines)
        self.size += size

    def head(self, records: int, size: int) -> list[bytes]:
        """Return the first lines."""
        return _first(iter(self._lines), records, size)

    def drop(self, count: int) -> None:
        """Forget the first lines."""
        for _ in range(count):
            self.size -= len(self._lines.popleft())

    def close(self) -> None:
        """Hold nothing."""


class Outbox:
    """A buffer in a folder of its own: what `append` took survives kill -9 and power loss.

    The folder holds numbered files of lines, each line behind its CRC32, and a lock. A file is
    deleted once all of it is delivered; how far the first one is delivered is not kept, so after a
    crash some records are delivered again, which their ids make harmless. Safe in any thread.

    Args:
        folder: made if it is not there.
        max_bytes: of its files; beyond it `append` raises BufferFull.

    Raises:
        OutboxLocked: another client has it.
        OutboxDamaged: a line that was kept is broken.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        self._folder, self._max, self._segment_bytes = folder, max_bytes, segment_bytes
        self._mutex = threading.Lock()
        self._failed: str | None = None
        self._segments: deque[Path] = deque()
        self._file: int | None = None  # the last segment, once this process has begun it
        self._newest = 0  # number of the last segment
        self._end = 0  # of the last segment, in bytes
        self._position = 0  # in the first segment: all before it is delivered
        self._shown: list[int] = []  # lengths of what `head` has returned
        self._size = self._waiting = 0
        for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            missing.mkdir(exist_ok=True)
            _sync(missing.parent)
        self._lock = _take_lock(folder)
        try:
            self._recover()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def size(self) -> int:
        """Bytes that its files take."""
        return self._size

    def __len__(self) -> int:
        return self._waiting

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines and sync them; return once they are durable. Raises OutboxError."""
        data = b"".join(b"%08x %s\n" % (crc32(line), line) for line in lines)
        with self._mutex:
            if self._failed is not None:
                raise OutboxError(self._failed)
            if self._size + len(data) > self._max:
                raise _full(str(self._folder), self._waiting, self._max)
            self._write(data)
            self._size += len(data)
            self._waiting += len(lines)

    def head(self, records: int, size: int) -> list[bytes]:
        """Return the first lines, of the first file alone. Raises OutboxDamaged."""
        with self._mutex:
            if not self._waiting:
                return []
            first = self._segments[0]
            end = self._end if len(self._segments) == 1 else None
            lines = _first(_lines(first, self._position, end), records, size)
            if not lines:
                raise _damaged(first, self._position)
            self._shown = [len(line) + _MARK + 1 for line in lines]
            return lines

    def drop(self, count: int) -> None:
        """Forget the first lines, and delete a file that is through."""
        with self._mutex:
            self._position += sum(self._shown[:count])
            self._shown = self._shown[count:]
            self._waiting -= count
            first = self._segments[0]
            length = self._end if len(self._segments) == 1 else first.stat().st_size
            if self._position < length:
                return
            if len(self._segments) == 1:
                self._close_file()
            self._segments.popleft()
            first.unlink()
            self._size -= length
            self._position = 0

    def close(self) -> None:
        """Close the files, let go of the lock."""
        with self._mutex:
            self._failed = self._failed or "The outbox is closed."
            self._close_file()
            os.close(self._lock)

    def _write(self, data: bytes) -> None:
        if self._end >= self._segment_bytes:
            self._close_file()
        try:
            file = self._open_file() if self._file is None else self._file
            written = 0
            try:
                while written < len(data):
                    written += os.pwrite(file, data[written:], self._end + written)
            except OSError:
                os.ftruncate(file, self._end)
                raise
        except OSError as error:
            raise OutboxError(f"{self._folder} takes no more: {error.strerror}.") from error
        try:
            os.fdatasync(file)
        except OSError as error:  # what is on disk now, nobody knows; only a new start can tell
            self._failed = f"{self._folder} failed to sync ({error.strerror}): open it anew."
            raise OutboxError(self._failed) from error
        self._end += len(data)

    def _open_file(self) -> int:
        path = self._folder / f"{self._newest + 1:020}{_SUFFIX}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _sync(self._folder)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        self._file, self._end = file, 0
        self._newest += 1
        self._segments.append(path)
        return file

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _recover(self) -> None:
        """Count what waits; cut off what a crash left unfinished, which nobody was promised."""
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        for path in paths:
            self._newest, good = int(path.stem), 0
            for line in _lines(path, 0, None):
                good += len(line) + _MARK + 1
                self._waiting += 1
            if good < path.stat().st_size:
                if path != paths[-1] or _whole_line_behind(path, good):
                    raise _damaged(path, good)
                os.truncate(path, good)
                _sync(path)  # or the next crash could bring it back, in front of a newer file
            if good:
                self._segments.append(path)
                self._size += good
                self._end = good
            else:
                path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_lock(folder: Path) -> int:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise OutboxLocked(
            f"{folder} is another client's outbox: close that one, or give this one another folder."
        ) from None
    return handle


def _lines(path: Path, position: int, end: int | None) -> Iterator[bytes]:
    """Yield the lines of a file from a position on, up to the first that is broken."""
    with path.open("rb") as file:
        file.seek(position)
        while (end is None or position < end) and (raw := file.readline()):
            line = raw[_MARK:-1]
            if raw != b"%08x %s\n" % (crc32(line), line):
                return
            position += len(raw)
            yield line


def _whole_line_behind(path: Path, position: int) -> bool:
    """Return whether a line is whole behind a broken place: a torn write leaves none there."""
    tail = path.read_bytes()[position:]
    return any(int(mark, 16) == crc32(line) for mark, line in _LINE.findall(tail))


def _first(lines: Iterator[bytes], records: int, size: int) -> list[bytes]:
    found: list[bytes] = []
    taken = 0
    for line in lines:
        taken += len(line) + 1
        if found and taken > size:
            break
        found.append(line)
        if len(found) == records:
            break
    return found


def _full(where: str, waiting: int, max_bytes: int) -> BufferFull:
    return BufferFull(
        f"{waiting} records wait in {where} already, and it may take {max_bytes} bytes: have the "
        "platform take them (flush), or allow more (buffer_bytes)."
    )


def _damaged(path: Path, position: int) -> OutboxDamaged:
    return OutboxDamaged(
        f"{path} is broken at byte {position}: save its other records by hand, then remove it."
    )
