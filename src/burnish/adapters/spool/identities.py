"""Which identities are kept already: the newest in memory, the others in sorted runs on disk."""

import errno
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import structlog
from msgspec import Struct

from burnish.adapters.spool.compaction import Store
from burnish.adapters.spool.frames import Identity
from burnish.adapters.spool.ledger import Known
from burnish.adapters.spool.runs import Probe

_log = structlog.get_logger("burnish.spool")

HOT: Final = 1 << 14  # identities in memory, at some 350 bytes each, before they become a run
_MAX_AGE_S: Final = 600.0  # or this long: a start reads what is in no run from the raw log
_MAX_FROZEN: Final = 4  # while so many wait to be written, the next one grows instead
_RETRY_S: Final = 1.0
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class _Frozen(Struct):
    """Identities on their way into a run."""

    known: dict[bytes, Known]
    end: int  # first offset after them


class Identities:
    """A map from an identity to its record, for one thread at a time.

    Neither cost nor memory follows the number of identities: `find` asks the newest ones in memory,
    then each run's filter, and takes no hash for an identity before the whole name agrees. A second
    thread writes and merges runs; it hands over by replacing one reference, and nobody waits.

    What is in no run is lost at a crash: whoever opens this adds the records from `end` on again.

    Args:
        folder: DIR/spool/<shard>/identities.
        failed: told of an error that ended the second thread for good.
        limit: identities in memory before they become a run.
    """

    def __init__(
        self, folder: Path, *, failed: Callable[[BaseException], None], limit: int = HOT
    ) -> None:
        self._store = Store(folder)
        self._failed, self._limit = failed, limit
        self._hot: dict[bytes, Known] = {}
        self._since = 0.0  # monotonic seconds: when the oldest of them came
        self._end = self._store.settled.end
        self._frozen: list[_Frozen] = []
        self._queue: SimpleQueue[_Frozen | None] = SimpleQueue()
        self._merging: Iterator[None] | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def end(self) -> int:
        """The offset after the last record that it knows."""
        return self._end

    def forget(self) -> None:
        """Forget everything, before anything was added: it speaks of records that are not there."""
        self._store.forget()
        self._end = 0

    def start(self) -> None:
        """Write and merge runs in the background from now on."""
        self._thread = threading.Thread(target=self._run, name="spool-identities", daemon=True)
        self._thread.start()

    def find(self, identities: Sequence[Identity]) -> list[Known | None]:
        """Return for each identity its record, None if there is none. Raises IdentitiesDamaged."""
        settled = self._store.settled
        self._frozen = [one for one in self._frozen if one.end > settled.end]
        hot = self._hot
        found = [hot.get(one.name) for one in identities]
        for frozen in self._frozen:
            found = [
                known or frozen.known.get(one.name)
                for known, one in zip(found, identities, strict=True)
            ]
        missing = [index for index, known in enumerate(found) if known is None]
        if missing and settled.runs:
            probe = Probe([identities[index].hash for index in missing])
            for run in settled.runs:
                places = list(run.find(probe))
                if len(places) > 1:
                    settled.ledger.expect(position for _, position in places)
                for at, position in places:
                    name, known, _ = settled.ledger.at(position)
                    if name == identities[missing[at]].name:
                        found[missing[at]] = known
        return found

    def add(self, known: Mapping[bytes, Known], *, end: int) -> None:
        """Remember durable records, by name, that come next and lie below the offset `end`.

        Of two with the same identity the first one stays.
        """
        if not self._hot:
            self._since = time.monotonic()
        for name, one in known.items():
            self._hot.setdefault(name, one)
        self._end = end
        due = len(self._hot) >= self._limit or time.monotonic() > self._since + _MAX_AGE_S
        if due and len(self._frozen) < _MAX_FROZEN:
            self._freeze()

    def close(self) -> None:
        """Write what is in memory to a run, if there is room, and end."""
        self._closing.set()
        if self._thread is not None:
            self._freeze()
            self._queue.put(None)
            self._thread.join()
        self._merging = None  # half a merge is none
        self._store.close()

    def _freeze(self) -> None:
        if not self._hot:
            return
        frozen = _Frozen(self._hot, self._end)
        self._hot = {}
        # While opening, perhaps from a long raw log, memory stays flat if the disk has room.
        opening = self._thread is None and not self._frozen
        if not (opening and self._is_settled(frozen)):
            self._frozen.append(frozen)
            self._queue.put(frozen)

    def _is_settled(self, frozen: _Frozen) -> bool:
        """Make a run of them, in this thread; tell whether there was room."""
        try:
            self._store.flush(frozen.known, end=frozen.end)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return False
        try:
            while self._store.is_merge_due:
                for _ in self._store.merge():
                    pass
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        return True

    def _run(self) -> None:
        try:
            while True:
                self._merge()
                frozen = self._queue.get()
                if frozen is None:
                    return
                self._flush(frozen)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nothing goes on
            _log.critical("identities.failed", error=repr(error), exc_info=error)
            self._failed(error)

    def _flush(self, frozen: _Frozen) -> None:
        while True:
            try:
                self._store.flush(frozen.known, end=frozen.end)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                _log.warning("identities.no_room", error=repr(error))
                if self._closing.wait(_RETRY_S):
                    return
            else:
                return

    def _merge(self) -> None:
        """Merge what is due, at half a core's speed, until there is something to flush."""
        while self._queue.empty():
            if self._merging is None:
                if not self._store.is_merge_due:
                    return
                self._merging = self._store.merge()
            started = time.monotonic()
            try:
                if next(self._merging, self) is self:
                    self._merging = None
            except OSError as error:
                self._merging = None
                if error.errno not in _NO_ROOM:
                    raise
                _log.warning("identities.no_room", error=repr(error))
                self._closing.wait(_RETRY_S)
            self._closing.wait(time.monotonic() - started)
