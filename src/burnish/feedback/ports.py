"""What the feedback room needs from the world."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from burnish.feedback.model import (
    FeedbackRecord,
    Incoming,
    Published,
    RawObject,
    RawRecord,
    Receipt,
    Rejection,
)
from burnish.feedback.prediction import Prediction
from burnish.feedback.quarantine import Count, Entry, EntryState, Selection
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.errors import BurnishError
from burnish.kernel.unit import Unit

Receipts = Sequence[Receipt] | BurnishError
Kept = BurnishError | None
Found = Mapping[str, Prediction] | None  # by id, those that are known; None: nobody can tell
Parse = Callable[[RawRecord], FeedbackRecord]  # raises InvalidInput if the line breaks its schema


class FeedbackLog(Protocol):
    """Where accepted records become durable: one shard's spool."""

    @property
    def shard(self) -> str:
        """The shard's name."""
        ...

    def find(
        self, source: str, id_: str, done: Callable[[int | BurnishError | None], None]
    ) -> None:
        """Call `done` from another thread with the offset of an accepted record, None if none.

        `done` gets the error if the log fails meanwhile. Raises Unavailable as `append` does.
        """
        ...

    def append(self, records: Sequence[Incoming], done: Callable[[Receipts], None]) -> None:
        """Queue records; call `done` once, from any thread, when all of them are synced.

        If that takes but a moment, it may be before this returns.

        `done` gets one receipt per record, or the error for which none of them is known to be
        kept. A duplicate's receipt, too, comes only after the sync of the first copy.

        Raises:
            Backpressure: at once, if the log is too full; nothing is queued.
            Unavailable: at once, if the log has failed or is closed.
        """
        ...

    def failure(self) -> str | None:
        """Say why the log takes no records, None if it does."""
        ...


class Quarantine(Protocol):
    """Where what could not be accepted is kept, verbatim, with its reason."""

    def keep(self, rejections: Sequence[Rejection], done: Callable[[Kept], None]) -> None:
        """Queue rejections; call `done(None)` from another thread once all are durable.

        `done` gets the error if they are not. Raises Backpressure, Unavailable as `append` does.
        """
        ...


class QuarantineIndex(Protocol):
    """The list of what is in quarantine, in the metadata database."""

    def note(self, entries: Sequence[Entry]) -> None:
        """Add rows; those that are there already stay as they are."""
        ...


class PredictionLog(Protocol):
    """The predictions that were given, as far as they can be asked for in a moment."""

    def look_up(self, ids: Collection[str], done: Callable[[Found], None]) -> None:
        """Look for predictions; call `done` once, from any thread, also at once.

        `done` gets None if the log is out of reach. It may come late: who asks has a deadline.
        """
        ...


class Intake(Protocol):
    """Where a queue hands its messages to: the judgement, log and quarantine of the HTTP front."""

    async def take(self, body: bytes, content_type: str, ce: Mapping[str, str]) -> None:
        """Make every record of a message durable: in the log, or in quarantine with its reason.

        Args:
            body: verbatim.
            content_type: as sent; it says whether there is one record in the message or several.
            ce: CloudEvents attributes that came as headers; empty if none.

        Raises:
            Unavailable: some of it may not be kept. Offer it again: what was kept is recognised.
        """
        ...

    async def put_aside(
        self, body: bytes, content_type: str, ce: Mapping[str, str], *, why: str
    ) -> None:
        """Keep a message in quarantine, unread. Raises Unavailable as `take` does."""
        ...


class QueueReader(Protocol):
    """A way in beside HTTP, which may be out of order while the front goes on."""

    @property
    def name(self) -> str:
        """What people call it: the name of its technology."""
        ...

    def trouble(self) -> str | None:
        """Say why nothing comes from it, and what to do; None if all is well."""
        ...


class Sealer(Protocol):
    """What moves accepted records on to the raw log."""

    def seal(self, done: Callable[[int], None]) -> None:
        """Seal what is accepted now; call `done(persisted_offset)` once all of it is persisted.

        `persisted_offset` is the first offset that is not yet in the raw log. The call comes from
        another thread, and only after the object store and the manifest have taken the records.
        """
        ...


class Manifest(Protocol):
    """The list of raw log objects, in the metadata database."""

    def commit(self, entry: RawObject) -> None:
        """Add the row of an object; the same row again is a no-op.

        Raises:
            Conflict: another object covers some of these offsets, or they leave a gap.
        """
        ...


class RawLog(Protocol):
    """Every accepted record, in order, immutable."""

    def end(self) -> Offsets:
        """Return per shard the first offset that the log does not yet hold."""
        ...

    def read(self, shard: str, first: int, end: int) -> Iterator[RawRecord]:
        """Yield the records with `first <= offset < end`, ascending."""
        ...


class Directory(Protocol):
    """The models and keys that the control plane has published."""

    def current(self) -> Published:
        """Return the newest directory that is properly signed. Raises Unavailable if none is."""
        ...


class Meter(Protocol):
    """Counts what happens to feedback, for whoever watches."""

    def accepted(self, model: str) -> None:
        """Count one record made durable."""
        ...

    def duplicate(self, model: str) -> None:
        """Count one record that was already there."""
        ...

    def quarantined(self, code: str, model: str) -> None:
        """Count one record kept in quarantine; `model` is empty if it is not known."""
        ...

    def rejected(self, code: str, model: str = "") -> None:
        """Count a good record that the log did not take, or a request refused unread: no model."""
        ...

    def synced(self, seconds: float, records: int) -> None:
        """Note one group commit: how long its sync took, and for how many records."""
        ...

    def sealed(self, seconds: float, records: int) -> None:
        """Note one range of records written as the object that it will be."""
        ...

    def uploaded(self, what: str, seconds: float) -> None:
        """Note one object stored: of the `raw_log` or of the `quarantine`."""
        ...

    def upload_failed(self, what: str) -> None:
        """Count one failed attempt to store or list an object; it is retried."""
        ...

    def render(self) -> bytes:
        """Return everything counted, in the Prometheus text format."""
        ...


class FeedbackStore(Protocol):
    """The projection of the raw log into a table; may be thrown away and projected again."""

    def offsets(self) -> Offsets:
        """Return, per shard, the first offset that is not projected yet."""
        ...

    def advance(self, shard: str, *, expected: int, to: int) -> None:
        """Move a shard's offset. Raises Stale if it does not stand at `expected`."""
        ...

    def add(self, verdicts: Sequence[Verdict]) -> set[str]:
        """Keep verdicts, one per identity: of copies the one of lowest precedence, at any time.

        Returns the names of the models that learnt something new; copies are no news.
        """
        ...

    def find(self, source: str, id_: str) -> Verdict | None:
        """Return what the record of this identity says, if there is one."""
        ...

    def of_shard(self, shard: str, first: int, *, model: str, limit: int) -> list[Verdict]:
        """Return a model's verdicts of one shard at or beyond an offset, ascending."""
        ...

    def newest(self, *, model: str | None, limit: int) -> list[Verdict]:
        """Return the verdicts received last, oldest first."""
        ...

    def after(self, offsets: Offsets, *, model: str | None, limit: int) -> list[Verdict]:
        """Return verdicts at or beyond the offsets, per shard ascending; unnamed shards whole."""
        ...

    def has_news(self, model: str, since: Offsets, upto: Offsets) -> bool:
        """Tell whether any verdict on the model lies at `since <= offset < upto`."""
        ...

    def on_touched_subjects(self, model: str, since: Offsets, upto: Offsets) -> list[Verdict]:
        """Return the verdicts below `upto` on those subjects with at least one beyond `since`."""
        ...


class FeedbackUnit(Unit, Protocol):
    """One transaction over the projection."""

    @property
    def feedback(self) -> FeedbackStore:
        """The projection, inside this transaction."""
        ...


class QuarantineStore(Protocol):
    """The index of the quarantine."""

    def page(
        self,
        selection: Selection,
        *,
        after: str | None,
        through: str | None = None,
        limit: int,
        ascending: bool,
    ) -> list[Entry]:
        """Return entries by time of receipt, beyond the one that `after` names.

        None was received later than the one that `through` names.
        """
        ...

    def get(self, id_: str) -> Entry:
        """Return one entry. Raises QuarantineEntryNotFound."""
        ...

    def counts(self, selection: Selection) -> list[Count]:
        """Count the selected entries by code, model and state; the most numerous first."""
        ...

    def remaining(
        self, selection: Selection, *, after: str | None, through: str | None = None
    ) -> int:
        """Count the open entries of a selection beyond `after` and up to `through`."""
        ...

    def settle(self, id_: str, state: EntryState, code: str, detail: str, *, at: datetime) -> None:
        """Note a replay of an open entry; one that is open no more is left as it is.

        One that stays open takes the new code and detail.
        """
        ...


class QuarantineUnit(Unit, Protocol):
    """One transaction over the quarantine's index."""

    @property
    def quarantine(self) -> QuarantineStore:
        """The index, inside this transaction."""
        ...
