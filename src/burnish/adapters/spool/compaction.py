"""The durable part of dedupe: the ledger, its sorted runs, and what makes few runs of many."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import google_crc32c
import msgspec
import numpy as np
import structlog
from msgspec import Struct

from burnish.adapters.crash import crash_point
from burnish.adapters.files import clear_unfinished, make_folder, sync_folder, write_durably
from burnish.adapters.spool.ledger import IdentitiesDamaged, Known, Ledger, LedgerView
from burnish.adapters.spool.runs import SUFFIX, Rows, Run, RunWriter, Span

_log = structlog.get_logger("burnish.spool")

_GROWTH: Final = 2  # a run stays apart while it has more than twice what all newer ones have
_PART: Final = 1 << 16  # entries at a time: bounds the memory of a merge, and the wait for a turn


class _State(Struct):
    """What is durable; whatever else lies in the folder was never counted."""

    ledger: int  # bytes
    runs: list[Span]  # contiguous from offset 0


class Settled(Struct, frozen=True):
    """The runs at some moment, and the ledger that they point into; never changed."""

    runs: tuple[Run, ...]
    ledger: LedgerView

    @property
    def end(self) -> int:
        """The first offset that is in no run."""
        return self.runs[-1].span.end if self.runs else 0


class Store:
    """A folder of identities, owned by one thread; others may read `settled` at any time.

    Opening mends what can be mended: a run is rebuilt from the ledger; without a whole ledger
    everything is forgotten, and `settled.end` says so.
    """

    settled: Settled

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state"
        make_folder(folder)
        clear_unfinished(folder)
        try:
            self._open(self._read())
        except IdentitiesDamaged as error:
            _log.warning("identities.forgotten", error=error.detail)
            self._state.unlink(missing_ok=True)
            self._open(_State(0, []))

    def forget(self) -> None:
        """Forget everything."""
        self._ledger.close()
        self._state.unlink(missing_ok=True)
        self._open(_State(0, []))

    def flush(self, items: Mapping[bytes, Known], *, end: int) -> None:
        """Make a run of the records, by name, that come next and lie below the offset `end`.

        After an OSError it may be tried again.
        """
        start = self._ledger.size
        try:
            positions = self._ledger.append(items.items())
            crash_point("ingest.after_ledger")
            span = Span(self.settled.end, end, start, self._ledger.size)
            run = self._write(span, [known.hash for known in items.values()], positions)
            crash_point("ingest.after_run")
            self._settle((*self.settled.runs, run))
        except OSError:
            self._ledger.cut(start)
            raise
        crash_point("ingest.after_flush")

    @property
    def is_merge_due(self) -> bool:
        """Whether there are more runs than there should be."""
        return len(_due(self.settled.runs)) > 1

    def merge(self) -> Iterator[None]:
        """Merge the newest runs, a part at each step; a flush may come between two steps.

        A run stays apart while it has more than twice what all newer ones have together. So there
        are at most log3(n) runs, and each entry is written some log3(n) times.
        """
        merging = _due(self.settled.runs)
        first, last = merging[0].span, merging[-1].span
        count = sum(run.count for run in merging)
        span = Span(first.first, last.end, first.start, last.stop)
        with contextlib.closing(RunWriter(self._folder, span, count=count)) as writer:
            for rows in merged(merging, parts=-(-count // _PART)):
                writer.add(rows)
                yield
            run = Run(writer.finish(), span)
        crash_point("ingest.after_merge")
        runs = self.settled.runs  # there may be newer ones by now
        at = runs.index(merging[0])
        self._settle((*runs[:at], run, *runs[at + len(merging) :]))
        crash_point("ingest.after_merge_listed")
        for old in merging:
            old.path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def close(self) -> None:
        """Close the ledger; what is settled stays readable."""
        self._ledger.close()

    def _read(self) -> _State:
        try:
            checksum, _, state = self._state.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return _State(0, [])
        if checksum != _checksum(state):
            raise IdentitiesDamaged(f"{self._state} is broken.", path=str(self._state))
        return msgspec.json.decode(state, type=_State)

    def _open(self, state: _State) -> None:
        listed = {span.file_name for span in state.runs}
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path.name not in listed:
                path.unlink()
        self._ledger = Ledger(self._folder / "ledger", size=state.ledger)
        try:
            view = self._ledger.view()
            runs = tuple(run for span in state.runs for run in self._opened(span, view))
        except IdentitiesDamaged:
            self._ledger.close()
            raise
        if [run.span for run in runs] == state.runs:
            self.settled = Settled(runs, view)
        else:
            self._settle(runs)

    def _opened(self, span: Span, ledger: LedgerView) -> Iterator[Run]:
        """Yield the run of a span, or the smaller ones that are built from the ledger instead."""
        path = self._folder / span.file_name
        try:
            yield Run(path, span)
        except (FileNotFoundError, IdentitiesDamaged) as error:
            _log.warning("identities.run_rebuilt", path=str(path), error=repr(error))
        else:
            return
        first, start = span.first, span.start
        records = ledger.scan(span.start, span.stop)
        while items := list(islice(records, _PART)):
            positions = [position for position, _, _ in items]
            _, known, stop = items[-1]
            end = span.end if stop == span.stop else known.offset + 1
            hashes = [known.hash for _, known, _ in items]
            yield self._write(Span(first, end, start, stop), hashes, positions)
            first, start = end, stop

    def _write(self, span: Span, hashes: Sequence[bytes], positions: Sequence[int]) -> Run:
        halves = np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 2)
        rows: Rows = np.column_stack((halves, np.array(positions, np.uint64)))
        with contextlib.closing(RunWriter(self._folder, span, count=len(rows))) as writer:
            writer.add(rows[np.argsort(rows[:, 0])])
            return Run(writer.finish(), span)

    def _settle(self, runs: tuple[Run, ...]) -> None:
        state = msgspec.json.encode(_State(self._ledger.size, [run.span for run in runs]))
        write_durably(self._state, _checksum(state) + b"\n" + state)
        self.settled = Settled(runs, self._ledger.view())


class _Cursor:
    """Reads a run from its smallest key to its greatest."""

    def __init__(self, run: Run) -> None:
        self._parts = run.rows()
        self._left: Rows = np.empty((0, 3), np.uint64)

    def below(self, key: np.uint64 | None) -> Rows:
        """Return the entries not yet returned with a smaller key, or all of them."""
        taken = []
        while True:
            cut = len(self._left) if key is None else np.searchsorted(self._left[:, 0], key)
            taken.append(self._left[:cut])
            self._left = self._left[cut:]
            if len(self._left):
                break
            following = next(self._parts, None)
            if following is None:
                break
            self._left = following
        return np.concatenate(taken)


def _checksum(state: bytes) -> bytes:
    return b"%08x" % google_crc32c.value(state)


def merged(runs: Sequence[Run], *, parts: int) -> Iterator[Rows]:
    """Yield the entries of all runs, ascending; hashes are uniform, so the parts are of a size."""
    cursors = [_Cursor(run) for run in runs]
    for part in range(1, parts + 1):
        key = None if part == parts else np.uint64((part << 64) // parts)
        rows = np.concatenate([cursor.below(key) for cursor in cursors])
        yield rows[np.argsort(rows[:, 0])]


def _due(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Return the newest runs that should be one."""
    total, at = 0, len(runs)
    while at and (not total or runs[at - 1].count <= _GROWTH * total):
        at -= 1
        total += runs[at].count
    return runs[at:]
