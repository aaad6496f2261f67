"""The raw log read by a Daft plan: in threads and processes here, or on a Ray cluster.

The plan's rows are the sealed objects of the range. Each is fetched, checked against its digest and
made into columns where the plan runs; only columns come back. Decision 0024 says why so, and what
else was measured.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

from burnish.adapters.raw_log import RawLogDamaged, decode
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.datasets.reading import Asked, Read, gathered, ranges, read_lines
from burnish.feedback.model import RawObject
from burnish.feedback.ports import Parse
from burnish.feedback.service import RawLogGap
from burnish.feedback.verdict import Offsets
from burnish.kernel.digest import digest

HERE: Final = "local"
IN_PROCESSES: Final = 200_000  # lines from which processes repay the second that they take to start
_QUIET: Final = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1", "DAFT_PROGRESS_BAR": "0"}


class Store(Protocol):
    """What can be read from wherever the plan runs; it can be pickled."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        ...


class DaftReader:
    """Port `datasets.ports.Reader`.

    Args:
        store: where the log lies. It travels: on Ray every node must reach it.
        manifest: of the log.
        parse: reads a line.
        engine: `local`, or the address of a Ray cluster, `ray://HOST:PORT`.
        processes: how many may read at once here.
    """

    def __init__(
        self, store: Store, manifest: SqlManifest, parse: Parse, *, engine: str, processes: int
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._parse = parse
        self._engine = engine
        self._processes = processes

    def read(self, asked: Asked, since: Offsets, until: Offsets) -> Read:
        """Return a model's lines of a range. Raises RawLogGap or RawLogDamaged."""
        pieces: list[_Piece] = []
        for shard, first, end in ranges(since, until):
            entries = self._manifest.covering(shard, first, end)
            _check_whole(entries, shard, first, end)
            pieces += [_Piece.of(entry, first, end) for entry in entries]
        if not pieces:
            return gathered([])
        found = self._plan(pieces, asked).to_pydict()
        columns = sorted(zip(found["number"], found["columns"], strict=True))
        return gathered([_opened(one) for _, one in columns])

    def _plan(self, pieces: Sequence["_Piece"], asked: Asked) -> Any:
        """Return the plan, a Daft data frame: each piece's number, and its columns."""
        daft = _daft(self._engine)
        lines = sum(piece.end - piece.first for piece in pieces)
        aside = self._engine == HERE and self._processes > 1 and lines >= IN_PROCESSES
        batch = daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)
        reading = daft.cls(
            type("Reading", (_Reading,), {"columns": batch(_Reading.columns)}),
            use_process=aside,
            max_concurrency=self._processes if aside else None,
        )(self._store, asked, self._parse)
        frame = daft.from_pydict(
            {
                "number": list(range(len(pieces))),
                **{name: [getattr(piece, name) for piece in pieces] for name in _FIELDS},
            }
        )
        if self._engine != HERE:  # one object a task, wherever the cluster has room
            frame = frame.into_partitions(len(pieces))
        columns = reading.columns(*(daft.col(name) for name in _FIELDS)).alias("columns")
        return frame.select(daft.col("number"), columns)


@dataclass(frozen=True)
class _Piece:
    """The part of one object that a build reads."""

    shard: str
    key: str
    sha256: str
    skip: int  # lines before it
    first: int  # offset of its first line
    end: int

    @classmethod
    def of(cls, entry: RawObject, first: int, end: int) -> "_Piece":
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


class _Reading:
    """Reads pieces; there is one in each process, or on each worker of the cluster."""

    def __init__(self, store: Store, asked: Asked, parse: Parse) -> None:
        self._known = store, asked, parse

    def columns(self, *fields: Any) -> list[bytes]:
        """Return the columns of each piece; a field is Daft's series of it."""
        rows = zip(*(field.to_pylist() for field in fields), strict=True)
        return [_read(_Piece(*row), *self._known) for row in rows]


_FIELDS: Final = ("shard", "key", "sha256", "skip", "first", "end")
_GOOD, _DAMAGED, _SHORT = b"g", b"d", b"s"  # how an answer begins; an error would lose its kind
_HEAD: Final = 8  # bytes, so that what follows is aligned


def _read(piece: _Piece, store: Store, asked: Asked, parse: Parse) -> bytes:
    data = store.get(piece.key)
    found = digest(data)
    if found != piece.sha256:
        return _DAMAGED.ljust(_HEAD) + f"{piece.key} {piece.sha256} {found}".encode()
    count = piece.end - piece.first
    lines = [raw for raw, _ in zip(decode(data, skip=piece.skip), range(count), strict=False)]
    if [raw.offset for raw in lines] != list(range(piece.first, piece.end)):
        return _SHORT.ljust(_HEAD) + f"{piece.shard} {piece.first} {piece.end}".encode()
    return _GOOD.ljust(_HEAD) + read_lines(piece.shard, lines, asked, parse).to_bytes()


def _opened(answer: bytes) -> Read:
    kind, rest = answer[:_HEAD].strip(), memoryview(answer)[_HEAD:]
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
    raise _gap(named, int(first), int(end))


def _check_whole(entries: Sequence[RawObject], shard: str, first: int, end: int) -> None:
    """Raise RawLogGap unless the objects hold each offset of the range."""
    edges = [first, *(entry.last_offset + 1 for entry in entries)]
    if not entries or entries[0].first_offset > first or edges[-1] < end:
        raise _gap(shard, edges[-1], end)
    for one, other in pairwise(entries):
        if one.last_offset + 1 != other.first_offset:
            raise _gap(shard, one.last_offset + 1, end)


def _gap(shard: str, offset: int, end: int) -> RawLogGap:
    return RawLogGap(
        f"Shard {shard!r} of the raw log has no record at offset {offset}, below {end}:"
        " check that its objects are in place.",
        shard=shard,
        offset=offset,
        end=end,
    )


def _daft(engine: str) -> Any:
    """Return Daft, told where to run and to tell nobody."""
    os.environ.update(_QUIET)
    import daft  # noqa: PLC0415  it takes a second, and a worker starts without

    if engine != HERE:  # where nothing else is said, it runs here
        daft.set_runner_ray(engine, noop_if_initialized=True)
    return daft
