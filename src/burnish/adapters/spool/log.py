"""The spool: accepted records on local disk, durable before anyone hears so."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from burnish.adapters.crash import crash_point
from burnish.adapters.files import make_folder, write_durably
from burnish.adapters.spool.backlog import Backlog
from burnish.adapters.spool.frames import (
    Frame,
    Identity,
    Prepared,
    body_hash,
    encode,
    identity_of,
    microseconds,
    prepare,
)
from burnish.adapters.spool.group import GroupCommit, tell
from burnish.adapters.spool.identities import HOT, Identities
from burnish.adapters.spool.ledger import Known
from burnish.adapters.spool.reserve import Reserve
from burnish.adapters.spool.segments import RETRY_S, Hint, NoRoom, Segments, SpoolDamaged
from burnish.feedback.model import Incoming, Outcome, RawRecord, Receipt
from burnish.feedback.ports import Meter, RawLog, Receipts
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError, Conflict

_SMALL: Final = 64 << 10  # bytes that whoever brings them may write and sync by himself


class SpoolLocked(Conflict):
    """Another process holds this spool; two would destroy each other's work."""

    code = "spool.locked"


class SpoolSettings(Struct, frozen=True, kw_only=True):
    """Sizes of a spool, in bytes unless it says otherwise."""

    segment: int = 16 << 20  # a segment at or above this is closed
    high_water: int = 1 << 30  # backlog above this: 429
    low_water: int = 768 << 20  # backlog below this: taken again
    queue: int = 64 << 20  # may wait in memory for the committer
    hot: int = HOT  # identities in memory before they become a sorted run on disk
    reserve: int = 32 << 20  # set aside for emptying a full disk


class _State(Struct):
    persisted_offset: int


class _Append(Struct):
    """One call of `append`, waiting for its group."""

    records: Sequence[Prepared]
    size: int
    done: Callable[[Receipts], None]

    def fail(self, error: BurnishError) -> None:
        """Tell the caller that none of it is known to be kept."""
        tell(self.done, error)


class _Find(Struct):
    """One call of `find`; what is being committed just now is found too."""

    identity: Identity
    done: Callable[[int | BurnishError | None], None]
    size: int = 0

    def fail(self, error: BurnishError) -> None:
        """Tell the caller that nothing is known."""
        tell(self.done, error)


class Spool:
    """One shard's log of accepted records, from the first that is not persisted to the newest.

    Opening takes the lock, recovers the segments, and learns the identities that are in no run yet
    from the raw log and the segments. One thread at a time resolves duplicates and writes; since it
    answers only after its sync, a duplicate of a record in flight waits for that.

    Args:
        folder: DIR/spool/<shard>.
        shard: the shard's name.
        history: the raw log, for the identities already persisted.
        clock: gives the receive time.
        meter: counts syncs.
        failed: told of an error that ended the spool for good, as a failed sync does. The process
            should end too: only a start from disk tells what is true.
        settings: sizes.

    Raises:
        SpoolLocked: another process has it.
        SpoolDamaged: acknowledged records are broken on disk.
        SpoolForeign: another version of Burnish wrote them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        shard: str,
        history: RawLog,
        clock: Clock,
        meter: Meter,
        failed: Callable[[BaseException], None],
        settings: SpoolSettings | None = None,
    ) -> None:
        settings = settings or SpoolSettings()
        self.folder = folder
        self._shard, self._clock, self._meter = shard, clock, meter
        self._state = folder / "persisted.json"
        self.backlog = Backlog(
            high=settings.high_water, low=settings.low_water, queue=settings.queue
        )
        with contextlib.ExitStack() as undo:
            self._lock = _take_lock(folder)
            undo.callback(os.close, self._lock)
            self.reserve = Reserve(folder / "reserve", settings.reserve)
            listed = history.end().get(shard, 0)
            self._persisted = max(self._read_state(), listed)
            self._segments = self._recover(settings.segment)
            undo.callback(self._segments.close)
            self._identities = Identities(folder / "identities", failed=failed, limit=settings.hot)
            undo.callback(self._identities.close)
            self._rebuild(history, listed)
            undo.pop_all()  # from here on it is open, for `close` to undo
        self._identities.start()
        self._group = GroupCommit[_Append | _Find]("spool-committer", self._commit, failed=failed)

    @property
    def shard(self) -> str:
        """The shard's name."""
        return self._shard

    @property
    def end(self) -> int:
        """The first offset that is not yet taken; everything before it is durable here."""
        return self._segments.end

    @property
    def persisted_offset(self) -> int:
        """The first offset that is not yet in the raw log."""
        return self._persisted

    def failure(self) -> str | None:
        """Say why it takes no records, None if it does."""
        return self._group.closed

    def append(self, records: Sequence[Incoming], done: Callable[[Receipts], None]) -> None:
        """Queue records, as the port says. Raises Backpressure, Closed."""
        prepared = [prepare(record) for record in records]
        size = sum(len(one.rest) for one in prepared)
        self.backlog.admit(size)
        try:
            self._group.submit(_Append(prepared, size, done), here=size <= _SMALL)
        except BurnishError:
            self.backlog.settle(size)
            raise

    def find(
        self, source: str, id_: str, done: Callable[[int | BurnishError | None], None]
    ) -> None:
        """Look up an identity, as the port says. Raises Closed."""
        self._group.submit(_Find(identity_of(source.encode(), id_.encode()), done))

    def read(self, first: int, end: int, hint: Hint | None = None) -> Iterator[tuple[Frame, Hint]]:
        """Yield what is durable between two offsets; see `Segments.read`."""
        return self._segments.read(first, end, hint)

    def persisted(self, offset: int, *, seconds: float) -> None:
        """Note, durably, that all before an offset is in the raw log, and how long that took."""
        write_durably(self._state, msgspec.json.encode(_State(offset)))
        self._persisted = offset
        self.backlog.persisted(offset, seconds=seconds)
        crash_point("ingest.after_persisted")

    def delete_persisted(self) -> None:
        """Delete the segments that the raw log has made needless."""
        self._segments.delete_before(self._persisted)

    def close(self) -> None:
        """Commit what is queued, end the threads, let go of the files and the lock."""
        self._group.close()
        self._identities.close()
        self._segments.close()
        os.close(self._lock)

    def _recover(self, segment_bytes: int) -> Segments:
        """Open the segments, on a full disk with the room that is set aside for that."""
        folder = self.folder / "segments"
        try:
            return Segments(folder, start=self._persisted, segment_bytes=segment_bytes)
        except OSError as error:
            if not self.reserve.relieve(error):
                raise
            return Segments(folder, start=self._persisted, segment_bytes=segment_bytes)

    def _commit(self, jobs: list[_Append | _Find]) -> None:
        appends = [job for job in jobs if isinstance(job, _Append)]
        finds = [job for job in jobs if isinstance(job, _Find)]
        if appends:
            self._keep(appends)
            jobs[:] = finds  # what fails from now on concerns only these
        for job in finds:
            (known,) = self._identities.find([job.identity])
            tell(job.done, None if known is None else known.offset)

    def _keep(self, jobs: list[_Append]) -> None:
        crash_point("ingest.before_write")
        first = self._segments.end
        now = microseconds(self._clock())
        fresh: dict[bytes, Known] = {}
        written: list[Prepared] = []
        records = [record for job in jobs for record in job.records]
        kept = self._identities.find([record.identity for record in records])

        receipts: list[Receipt] = []
        for record, before in zip(records, kept, strict=True):
            known = before or fresh.get(record.identity.name)
            if known is not None:
                same = known.body == record.body
                outcome = Outcome.DUPLICATE if same else Outcome.CONFLICT
                receipts.append(Receipt(known.offset, outcome))
                continue
            offset = first + len(written)
            written.append(record)
            fresh[record.identity.name] = Known(record.identity.hash, offset, record.body)
            receipts.append(Receipt(offset, Outcome.ACCEPTED))
        if written:
            try:
                seconds = self._write(encode(written, first=first, received_us=now), len(written))
            except NoRoom as error:
                self._settle(jobs)
                for job in jobs:
                    job.fail(error)
                return
        position = 0
        for job in jobs:
            start, position = position, position + len(job.records)
            tell(job.done, receipts[start:position])
        self._settle(jobs)
        if written:  # while the senders read it: nobody looks at this before the next group
            self._identities.add(fresh, end=self._segments.end)
            self._meter.synced(seconds, len(written))

    def _write(self, data: bytes, count: int) -> float:
        """Make frames durable; return the seconds that the sync took. Raises NoRoom."""
        if not self.reserve.refill():
            self._free_segment()
            raise NoRoom(
                "The spool's disk is full, and what it holds is on its way out: try again.",
                retry_after=RETRY_S,
            )
        try:
            self._segments.append(data, count)
        except NoRoom:
            self._free_segment()
            raise
        crash_point("ingest.after_write")
        started = time.perf_counter()
        self._segments.sync()
        seconds = time.perf_counter() - started
        crash_point("ingest.after_sync")
        self.backlog.add(self._segments.end, len(data))
        return seconds

    def _free_segment(self) -> None:
        """Close the open segment, so that a full disk gets it back once it is persisted."""
        try:
            self._segments.retire()
        except NoRoom as error:
            if self.reserve.relieve(error.__cause__ or error):
                with contextlib.suppress(NoRoom):
                    self._segments.retire()

    def _settle(self, jobs: list[_Append]) -> None:
        for job in jobs:
            self.backlog.settle(job.size)

    def _rebuild(self, history: RawLog, listed: int) -> None:
        if self._segments.first > self._persisted:
            raise SpoolDamaged(
                f"{self.folder} begins at offset {self._segments.first}, but the raw log ends at "
                f"{self._persisted}: what lay between is missing.",
                path=str(self.folder),
            )
        self.backlog.start(persisted=self._persisted)
        if self._identities.end > self._segments.end:  # this disk has lost records since
            self._identities.forget()
        self._learn(history.read(self._shard, self._identities.end, listed))
        before: Hint | None = None
        for frame, hint in self._segments.read(self._segments.first, self._segments.end):
            if frame.end > self._identities.end:
                self._learn(frame.records())
            same = before is not None and before.segment == hint.segment
            size = hint.position - (before.position if before is not None and same else 0)
            before = hint
            if frame.end > self._persisted:
                age_us = max(0, microseconds(self._clock()) - frame.received_us)
                self.backlog.add(frame.end, size, age_s=age_us / 1e6)

    def _learn(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            if record.offset >= self._identities.end:
                identity = identity_of(record.source.encode(), record.id.encode())
                known = Known(identity.hash, record.offset, body_hash(record.body.encode()))
                self._identities.add({identity.name: known}, end=record.offset + 1)

    def _read_state(self) -> int:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=_State).persisted_offset
        except FileNotFoundError:
            return 0


def _take_lock(folder: Path) -> int:
    make_folder(folder)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SpoolLocked(
            f"{folder} is in use by another process: stop it, or give this one another folder.",
            path=str(folder),
        ) from None
    return handle
