"""The raw log read by a Daft plan: in threads and processes here, or on a Ray cluster.

The plan's rows are the sealed objects of the range. Each is fetched, checked against its digest and
made into columns where the plan runs; only columns come back. Decision 0024 says why so, and what
else was measured.
"""

import os
from collections.abc import Sequence
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any, Final

from burnish.adapters.pieces import FIELDS, Piece, Reading, Store, gap, opened
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.datasets.columns import Asked
from burnish.datasets.reading import Read, gathered, ranges
from burnish.feedback.model import RawObject
from burnish.feedback.ports import Parse
from burnish.feedback.verdict import Offsets

HERE: Final = "local"
IN_PROCESSES: Final = 200_000  # lines from which processes repay the second that they take to start
_QUIET: Final = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1", "DAFT_PROGRESS_BAR": "0"}


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
        pieces: list[Piece] = []
        for shard, first, end in ranges(since, until):
            entries = self._manifest.covering(shard, first, end)
            _check_whole(entries, shard, first, end)
            pieces += [Piece.of(entry, first, end) for entry in entries]
        if not pieces:
            return gathered([])
        with TemporaryDirectory(prefix="burnish-build-") as folder:
            found = self._plan(pieces, asked, folder).to_pydict()
            columns = sorted(zip(found["number"], found["columns"], strict=True))
            return gathered([opened(one) for _, one in columns])

    def _plan(self, pieces: Sequence["Piece"], asked: Asked, folder: str) -> Any:
        """Return the plan, a Daft data frame: each piece's number, and its columns.

        Processes here leave the columns in files in the folder, and tell their names: what goes
        through Daft is copied seven times.
        """
        daft = _daft(self._engine)
        lines = sum(piece.end - piece.first for piece in pieces)
        aside = self._engine == HERE and self._processes > 1 and lines >= IN_PROCESSES
        batch = daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)
        reading = daft.cls(
            type("Reading", (Reading,), {"columns": batch(Reading.columns)}),
            use_process=aside,
            max_concurrency=self._processes if aside else None,
        )(self._store, asked, self._parse, folder if aside else None)
        frame = daft.from_pydict(
            {
                "number": list(range(len(pieces))),
                **{name: [getattr(piece, name) for piece in pieces] for name in FIELDS},
            }
        )
        if self._engine != HERE:  # one object a task, wherever the cluster has room
            frame = frame.into_partitions(len(pieces))
        columns = reading.columns(*(daft.col(name) for name in FIELDS)).alias("columns")
        return frame.select(daft.col("number"), columns)


def _check_whole(entries: Sequence[RawObject], shard: str, first: int, end: int) -> None:
    """Raise RawLogGap unless the objects hold each offset of the range."""
    edges = [first, *(entry.last_offset + 1 for entry in entries)]
    if not entries or entries[0].first_offset > first or edges[-1] < end:
        raise gap(shard, edges[-1], end)
    for one, other in pairwise(entries):
        if one.last_offset + 1 != other.first_offset:
            raise gap(shard, one.last_offset + 1, end)


def _daft(engine: str) -> Any:
    """Return Daft, told where to run and to tell nobody."""
    os.environ.update(_QUIET)
    if engine == HERE:  # where nothing is said, Daft looks for a cluster first, and imports Ray
        os.environ["DAFT_RUNNER"] = "native"
    import daft  # noqa: PLC0415  it takes a second, and a worker starts without

    if engine != HERE:
        daft.set_runner_ray(engine, noop_if_initialized=True)
    return daft
