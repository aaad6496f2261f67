"""The segment files of a spool: append at the end, sync, read back, delete from the front."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from burnish.adapters.crash import crash_point
from burnish.adapters.files import (
    FULL,
    clear_unfinished,
    make_folder,
    sync_folder,
    write_durably,
)
from burnish.adapters.spool.frames import Frame, frames, whole_after
from burnish.kernel.errors import Conflict, Unavailable

_log = structlog.get_logger("burnish.spool")

_KIND: Final = b"BURNISH SPOOL "
_HEADER: Final = _KIND + b"2\n"
_SUFFIX: Final = ".seg"
# Something is used up, and will be free again; anything else means that the disk is broken.
_PASSING: Final = FULL | {errno.EMFILE, errno.ENFILE}
_READ_BYTES: Final = 4 << 20  # of a segment, at a time
RETRY_S: Final = 10  # a full disk is not emptied in a moment


class SpoolDamaged(Conflict):
    """A segment lost records that had been acknowledged; starting on would hide it."""

    code = "spool.damaged"


class SpoolForeign(Conflict):
    """A segment has a form that this version does not read."""

    code = "spool.other_version"


class NoRoom(Unavailable):
    """The group could not be written; the segment is as it was before."""

    code = "spool.no_room"


def no_room(error: OSError) -> NoRoom:
    """Return what a sender is told of a disk that takes no more."""
    return NoRoom(
        f"The disk takes no more: {error.strerror}. Nothing of this is kept: send it again.",
        retry_after=RETRY_S,
    )


class Hint(Struct, frozen=True, gc=False):
    """A place behind a frame."""

    segment: int  # its first offset
    position: int  # in bytes


class _Segment(Struct):
    path: Path
    first: int  # the offset of its first record, present or to come
    end: int  # the first offset after it
    size: int  # bytes that are synced; the file may be longer


class Segments:
    """Contiguous segments; the last one is open for appending.

    The open one has its whole length from the beginning, and zeros where no frames are yet: a file
    that grows takes half as long again to sync, as its length has to be synced too. A disk that has
    no room for that lets it grow.

    One thread appends; another may read and delete at the same time. Opening recovers: a torn tail
    is cut, and the last segment is written anew, because after a failed sync the system may hold
    pages that it believes to be on disk and that are not.

    Args:
        folder: where they lie.
        start: the offset that the first record gets if there are none yet.
        segment_bytes: a segment with at least so many bytes of frames is closed.

    Raises:
        SpoolDamaged: records are missing or broken that cannot be a torn tail.
        SpoolForeign: another version wrote them.
    """

    def __init__(self, folder: Path, *, start: int, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        make_folder(folder)
        clear_unfinished(folder)
        self._segments = [_Segment(path, int(path.stem), 0, 0) for path in _files(folder)]
        for segment in self._segments:
            self._recover(segment)
        if self._segments and self._segments[-1].end < start:
            self._forget_all()  # the raw log holds more than this disk: it has been replaced
        if self._segments:
            self._handle, self._is_retired = self._open(self._segments[-1]), False
        else:
            self._create(start, room=segment_bytes)

    @property
    def first(self) -> int:
        """The first offset held, or the next one if none is."""
        return self._segments[0].first

    @property
    def end(self) -> int:
        """The next offset."""
        return self._segments[-1].end

    def append(self, data: bytes, count: int) -> None:
        """Write frames at the end; they are not yet synced.

        Raises:
            NoRoom: nothing was written, the segment is whole.
            OSError: the disk is broken, or what was half-written could not be taken back.
        """
        if self._is_retired or self._segments[-1].size >= self._segment_bytes:
            self._rotate(room=self._segment_bytes)
        segment = self._segments[-1]
        try:
            _write_all(self._handle, data, segment.size)
        except OSError as error:
            os.ftruncate(self._handle, segment.size)
            if error.errno not in _PASSING:
                raise
            raise no_room(error) from error
        self._pending = (count, len(data))

    def retire(self) -> None:
        """Let the disk have what the open segment does not use, and all of it once it is persisted.

        Only closed ones are ever deleted, so it begins a new one, unless this is empty, and lets
        that grow. Raises NoRoom.
        """
        segment = self._segments[-1]
        os.ftruncate(self._handle, segment.size)
        if segment.size > len(_HEADER):
            self._is_retired = True  # even if no other can be begun: half of that one may be there
            self._rotate(room=0)

    def sync(self) -> None:
        """Make what was appended durable. An OSError leaves its fate unknown: never try again."""
        os.fdatasync(self._handle)
        count, size = self._pending
        segment = self._segments[-1]
        segment.size += size
        segment.end += count

    def read(self, first: int, end: int, hint: Hint | None = None) -> Iterator[tuple[Frame, Hint]]:
        """Yield what is synced from an offset on, frame by frame, with a hint for the next call.

        Args:
            first: first offset.
            end: frames that begin here or later are not wanted.
            hint: as yielded with the frame that ends at `first`; spares reading what lies before.
        """
        for segment in list(self._segments):
            if segment.end <= first or segment.first >= end:
                continue
            start = hint.position if hint and hint.segment == segment.first else len(_HEADER)
            for frame, position in _frames(segment, start):
                if frame.first >= end:
                    return
                if frame.end > first:
                    yield (
                        frame if frame.first >= first else frame.since(first),
                        Hint(segment.first, position),
                    )

    def delete_before(self, offset: int) -> None:
        """Delete the closed segments that hold only smaller offsets."""
        kept = [one for one in self._segments[:-1] if one.end > offset]
        gone = [one for one in self._segments[:-1] if one.end <= offset]
        if gone:
            self._segments[: len(kept) + len(gone)] = kept
            for segment in gone:
                segment.path.unlink(missing_ok=True)
            sync_folder(self._folder)

    def close(self) -> None:
        """Close the file; everything synced stays."""
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def _recover(self, segment: _Segment) -> None:
        data = segment.path.read_bytes()
        whole = data.startswith(_HEADER)
        if data.startswith(_KIND) and not whole:
            raise SpoolForeign(
                f"{segment.path} was written by another version of Burnish: start that one once "
                "more, seal (POST /v1/seal), stop it, and start this one.",
                path=str(segment.path),
            )
        position, offset = len(_HEADER), segment.first
        for frame, after in frames(data, position):
            if frame.first != offset:
                break
            position, offset = after, frame.end
        last = segment is self._segments[-1]
        following = None if last else self._segments[self._segments.index(segment) + 1].first
        damaged = not whole or whole_after(data, position - 1) is not None
        if damaged or (following is not None and following != offset):
            raise SpoolDamaged(
                f"{segment.path} is broken at byte {position}, in acknowledged records from offset "
                f"{offset} on: restore the disk, or move the spool aside and start anew.",
                path=str(segment.path),
                offset=offset,
            )
        if last:
            if torn := len(data[position:].rstrip(b"\0")):
                _log.warning("spool.torn_tail", path=str(segment.path), offset=offset, bytes=torn)
            write_durably(segment.path, data[:position], room=self._segment_bytes)
        segment.end = offset
        segment.size = position

    def _forget_all(self) -> None:
        for segment in self._segments:
            segment.path.unlink()
        sync_folder(self._folder)
        self._segments = []

    def _rotate(self, *, room: int) -> None:
        previous = self._handle
        try:
            self._create(self._segments[-1].end, room=room)
        except OSError as error:
            if error.errno not in _PASSING:  # such as a sync that failed
                raise
            raise no_room(error) from error
        os.close(previous)
        crash_point("ingest.after_rotate")

    def _create(self, first: int, *, room: int) -> None:
        path = self._folder / f"{first:020}{_SUFFIX}"
        write_durably(path, _HEADER, room=room)
        segment = _Segment(path, first, first, len(_HEADER))
        self._handle = self._open(segment)
        self._segments.append(segment)
        self._is_retired = False

    def _open(self, segment: _Segment) -> int:
        return os.open(segment.path, os.O_WRONLY)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _frames(segment: _Segment, start: int) -> Iterator[tuple[Frame, int]]:
    """Yield the synced frames from a place on, each with the place behind it."""
    with segment.path.open("rb") as file:
        file.seek(start)
        data = b""
        while part := file.read(min(_READ_BYTES, segment.size - start - len(data))):
            data += part
            position = 0
            for frame, position in frames(data):
                yield frame, start + position
            data, start = data[position:], start + position


def _write_all(handle: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, position)
        view, position = view[written:], position + written
