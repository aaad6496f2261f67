"""Pieces of the raw log, read wherever a plan runs: on a node of a cluster, or in a process here.

Such a process starts for one build, and what this imports is part of what the build costs.
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, Protocol

from burnish.adapters.raw_object import RawLogDamaged, decode
from burnish.datasets.columns import Asked
from burnish.datasets.reading import Read, read_lines
from burnish.feedback.model import RawObject, RawRecord
from burnish.feedback.ports import Parse
from burnish.feedback.service import RawLogGap
from burnish.kernel.digest import Part, digest


class Store(Protocol):
    """What can be read from wherever the plan runs; it can be pickled."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        ...


@dataclass(frozen=True)
class Piece:
    """The part of one object that a build reads."""

    shard: str
    key: str
    sha256: str
    skip: int  # lines before it
    first: int  # offset of its first line
    end: int

    @classmethod
    def of(cls, entry: RawObject, first: int, end: int) -> "Piece":
        """Return what of an object lies in a range."""
        start = max(first, entry.first_offset)
        return cls(
            shard=entry.shard,
            key=entry.key,
            sha256=entry.sha256,
            skip=start - entry.first_offset,
            first=start,
            end=min(end, entry.last_offset + 1),
        )


class Reading:
    """Reads pieces; there is one in each process, or on each worker of the cluster.

    Args:
        store: where the log lies.
        asked: what to read of each line.
        parse: reads a line.
        folder: where to leave the answers as files; None: they are returned.
    """

    def __init__(self, store: Store, asked: Asked, parse: Parse, folder: str | None) -> None:
        self._known = store, asked, parse
        self._folder = folder

    def columns(self, *fields: Any) -> list[bytes]:
        """Return the columns of each piece; a field is Daft's series of it."""
        rows = zip(*(field.to_pylist() for field in fields), strict=True)
        answers = (_read(Piece(*row), *self._known) for row in rows)
        if self._folder is None:
            return [b"".join(answer) for answer in answers]
        return [_filed(answer, self._folder) for answer in answers]


FIELDS: Final = ("shard", "key", "sha256", "skip", "first", "end")
# How an answer begins; an error would lose its kind.
_GOOD, _DAMAGED, _SHORT, _FILED = b"g", b"d", b"s", b"f"
_HEAD: Final = 8  # bytes, so that what follows is aligned


def _read(piece: Piece, store: Store, asked: Asked, parse: Parse) -> list[Part]:
    """Return the parts of an answer."""
    data = store.get(piece.key)
    found = digest(data)
    if found != piece.sha256:
        return [_DAMAGED.ljust(_HEAD), f"{piece.key} {piece.sha256} {found}".encode()]
    try:
        lines = read_lines(piece.shard, _lines(piece, data), asked, parse)
    except RawLogGap:
        return [_SHORT.ljust(_HEAD), f"{piece.shard} {piece.first} {piece.end}".encode()]
    return [_GOOD.ljust(_HEAD), *lines.to_parts()]


def _lines(piece: Piece, data: bytes) -> Iterator[RawRecord]:
    """Yield the lines of a piece. Raises RawLogGap unless they are there, one after another."""
    lines = decode(data, skip=piece.skip)
    for offset in range(piece.first, piece.end):
        raw = next(lines, None)
        if raw is None or raw.offset != offset:
            raise gap(piece.shard, piece.first, piece.end)
        yield raw


def _filed(answer: Sequence[Part], folder: str) -> bytes:
    with NamedTemporaryFile(dir=folder, delete=False) as file:
        file.writelines(answer)
    return _FILED.ljust(_HEAD) + file.name.encode()


def opened(answer: bytes | memoryview) -> Read:
    """Return the lines of a piece, as views of the answer. Raises RawLogGap or RawLogDamaged."""
    kind, rest = bytes(answer[:_HEAD]).strip(), memoryview(answer)[_HEAD:]
    if kind == _FILED:
        with Path(bytes(rest).decode()).open("rb") as file:
            return opened(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    if kind == _GOOD:
        return Read.from_bytes(rest)
    named, first, end = bytes(rest).decode().rsplit(" ", 2)
    if kind == _DAMAGED:
        raise RawLogDamaged(
            f"{named!r} is not what the manifest lists: restore it from a backup.",
            key=named,
            expected=first,
            found=end,
        )
    raise gap(named, int(first), int(end))


def gap(shard: str, offset: int, end: int) -> RawLogGap:
    """Return the error for a shard that has no record at an offset, but must have up to `end`."""
    return RawLogGap(
        f"Shard {shard!r} of the raw log has no record at offset {offset}, below {end}:"
        " check that its objects are in place.",
        shard=shard,
        offset=offset,
        end=end,
    )
