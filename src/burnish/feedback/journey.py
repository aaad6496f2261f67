"""Where a record is: accepted, on its way to the raw log, in it, or in quarantine.

FeedbackUnknown: `feedback.unknown`, no record of this source and id was ever accepted or refused.
"""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from burnish.feedback.model import RawRecord
from burnish.feedback.ports import FeedbackStore, Parse, QuarantineStore, RawLog
from burnish.feedback.quarantine import Entry, Selection
from burnish.kernel.errors import InvalidInput, NotFound, Unavailable

MAX_ENTRIES = 20  # of the quarantine, the newest, on one record


class FeedbackUnknown(NotFound):
    """Nobody sent a record with this source and id, or none that could be read."""

    code = "feedback.unknown"


class Place(Struct, frozen=True, kw_only=True):
    """Where an accepted record stands."""

    shard: str
    offset: int


class Received(Struct, frozen=True, kw_only=True):
    """An accepted record, as far as it can be read yet."""

    shard: str
    offset: int
    persisted: bool  # in the raw log; before that, durable in the spool of its front
    at: datetime | None = None
    model: str | None = None
    subject: str | None = None
    final: str | None = None
    corrected: bool | None = None


class Finder(Protocol):
    """The feedback front, asked what it holds."""

    def find(self, source: str, id_: str) -> Place | None:
        """Return the place of an accepted record. Raises Unavailable if nobody answers."""
        ...


class Traced(Struct, frozen=True, kw_only=True):
    """What is known of one record before any dataset: at least one of the two."""

    received: Received | None
    quarantined: list[Entry]  # refused attempts, newest first


def trace(
    store: FeedbackStore,
    quarantine: QuarantineStore,
    raw_log: RawLog,
    front: Finder,
    *,
    parse: Parse,
    source: str,
    id_: str,
) -> Traced:
    """Find a record by its identity, from the projection to the spool of the front.

    Raises FeedbackUnknown; Unavailable if only the front could tell and it does not answer.
    """
    refused = quarantine.page(
        Selection(state=None, source=source, record_id=id_),
        after=None,
        limit=MAX_ENTRIES,
        ascending=False,
    )
    verdict = store.find(source, id_)
    if verdict is not None:
        received = Received(
            shard=verdict.shard,
            offset=verdict.offset,
            persisted=True,
            at=verdict.received_at,
            model=verdict.model,
            subject=verdict.subject_id,
            final=verdict.final,
            corrected=verdict.corrected,
        )
        return Traced(received=received, quarantined=refused)
    try:
        place = front.find(source, id_)
    except Unavailable as error:
        if refused:
            return Traced(received=None, quarantined=refused)
        raise Unavailable(
            f"Record {id_!r} of {source!r} is not in the raw log yet, and ingest, which may hold "
            f"it, does not answer: {error.detail}"
        ) from error
    if place is None and not refused:
        raise FeedbackUnknown(f"There is no record {id_!r} of source {source!r}.")
    return Traced(
        received=None if place is None else _read(raw_log, parse, place), quarantined=refused
    )


def _read(raw_log: RawLog, parse: Parse, place: Place) -> Received:
    bare = Received(shard=place.shard, offset=place.offset, persisted=False)
    if raw_log.end().get(place.shard, 0) <= place.offset:
        return bare
    raw: RawRecord = next(iter(raw_log.read(place.shard, place.offset, place.offset + 1)))
    try:
        record = parse(raw)
    except InvalidInput:  # it was good under another schema; it is persisted all the same
        return Received(shard=place.shard, offset=place.offset, persisted=True, at=raw.received_at)
    return Received(
        shard=place.shard,
        offset=place.offset,
        persisted=True,
        at=raw.received_at,
        model=record.model,
        subject=record.subject_id,
        final=str(record.final),
        corrected=record.corrected,
    )
