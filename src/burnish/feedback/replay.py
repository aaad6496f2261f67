"""Replay: what was refused is offered to the front again, once its cause is mended."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from burnish.feedback.admission import admit
from burnish.feedback.model import MalformedFeedback, ModelFacts, NotJson, Rejection
from burnish.feedback.parse import BATCH, is_batch, media_type, parse
from burnish.feedback.ports import QuarantineStore, QuarantineUnit
from burnish.feedback.quarantine import (
    Entry,
    EntryState,
    QuarantineEntryNotFound,
    Selection,
    rejection_at,
    verbatim,
)
from burnish.kernel.audit import Actor
from burnish.kernel.errors import BurnishError, InvalidInput, Unavailable
from burnish.kernel.objects import ObjectNotFound, Objects

PAGE: Final = 200  # entries of one call: a second or two
_TO: Final = ":"  # between the two entries of a cursor; no id of an entry has one


class Answer(Struct, frozen=True, kw_only=True):
    """What the feedback front said to a record."""

    accepted: bool
    code: str
    detail: str = ""
    kept: bool = True  # durable there: in the raw log, or refused and in quarantine again


class Front(Protocol):
    """The feedback front, from outside."""

    def submit(self, rejection: Rejection) -> Answer:
        """Send a record as it came, wrapping and all. Raises Unavailable if nobody answers."""
        ...


class Replayed(Struct, frozen=True, kw_only=True):
    """What became of one entry."""

    id: str
    state: EntryState
    code: str  # accepted, duplicate, would_accept (but for what ingest alone knows), or the reason
    detail: str = ""


class Replay(Struct, frozen=True, kw_only=True):
    """What one call did."""

    results: list[Replayed]
    counts: dict[str, int]  # by code
    remaining: int  # entries of the selection that are still to be tried
    next: str | None  # hand it in as `after` to go on; None: that was all
    stopped: str | None = None  # why it ended early


def replay(
    units: Callable[[], QuarantineUnit],
    objects: Objects,
    front: Front,
    models: Mapping[str, ModelFacts],
    selection: Selection,
    *,
    after: str | None = None,
    limit: int = PAGE,
    dry_run: bool = False,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Replay:
    """Offer the next open entries of a selection again, in the order in which they came.

    A replay ends with the newest entry that was there at its first call, which the cursor carries
    on: what is refused anew meanwhile is for another replay.

    Every record is judged here first, so that what is still wrong makes no second entry; a dry run
    ends with that. Repeating a call does no harm, however far an earlier one came: what the front
    has already is a duplicate, and counts as accepted.

    Raises QuarantineEntryNotFound, before anything is tried, if an id names no entry.
    """
    selection = msgspec.structs.replace(selection, state=EntryState.OPEN)
    last, _, end = (after or "").partition(_TO)
    with units() as unit:
        if selection.ids:
            _check_ids(unit.quarantine, selection.ids)
        if not end:
            newest = unit.quarantine.page(selection, after=None, limit=1, ascending=False)
            if not newest:
                return Replay(results=[], counts={}, remaining=0, next=None)
            end = newest[0].id
        chosen = unit.quarantine.page(
            selection, after=last or None, through=end, limit=limit, ascending=True
        )
    results: list[Replayed] = []
    stopped: str | None = None
    loaded: tuple[str, bytes] = "", b""
    for entry in chosen:
        try:
            if loaded[0] != entry.key:
                loaded = entry.key, objects.get(entry.key)
            results.append(
                _again(entry, rejection_at(loaded[1], entry.line), front, models, dry_run=dry_run)
            )
        except ObjectNotFound as error:  # gone, as from a store that was restored in part
            results.append(_open(entry, error))
        except Unavailable as error:
            stopped = error.detail
            break
    counts = {code: sum(one.code == code for one in results) for code in _codes(results)}
    with units() as unit:
        if not dry_run and results:
            for one in results:
                unit.quarantine.settle(one.id, one.state, one.code, one.detail, at=now)
            unit.audit.record(
                actor,
                "quarantine.replayed",
                f"quarantine:{_words(selection)}",
                after={"counts": counts, "entries": len(results)},
                reason=reason,
            )
            unit.commit()
        last = results[-1].id if results else last
        left = unit.quarantine.remaining(selection, after=last or None, through=end)
    return Replay(
        results=results,
        counts=counts,
        remaining=left,
        next=f"{last}{_TO}{end}" if left else None,
        stopped=stopped,
    )


def _check_ids(store: QuarantineStore, ids: tuple[str, ...]) -> None:
    named = Selection(ids=ids, state=None)
    known = {one.id for one in store.page(named, after=None, limit=len(ids), ascending=True)}
    for id_ in ids:
        if id_ not in known:
            raise QuarantineEntryNotFound.of("quarantine entry", id_)


def _again(
    entry: Entry,
    rejection: Rejection,
    front: Front,
    models: Mapping[str, ModelFacts],
    *,
    dry_run: bool,
) -> Replayed:
    try:
        _judge(rejection, models)
    except InvalidInput as error:
        return _open(entry, error)
    if dry_run:
        return Replayed(id=entry.id, state=EntryState.OPEN, code="would_accept")
    answer = front.submit(rejection)
    state = (
        EntryState.ACCEPTED
        if answer.accepted
        else EntryState.MOVED
        if answer.kept
        else EntryState.OPEN
    )
    return Replayed(id=entry.id, state=state, code=answer.code, detail=answer.detail)


def _open(entry: Entry, error: BurnishError) -> Replayed:
    return Replayed(id=entry.id, state=EntryState.OPEN, code=error.code, detail=error.detail)


def _judge(rejection: Rejection, models: Mapping[str, ModelFacts]) -> None:
    """Raise what is wrong with a record, as far as it can be told without the front.

    The front alone knows conflicts, predictions, and what is wrong with a record of a batch.
    """
    body = verbatim(rejection)
    if not is_batch(rejection.content_type, rejection.ce):
        admit(parse(body, rejection.content_type, rejection.ce), models)
    elif media_type(rejection.content_type) == BATCH:  # its records are the front's to judge
        _check_array(body)
    elif not any(_is_object(line) for line in body.split(b"\n")):
        raise NotJson("None of the batch's lines is a JSON object.")


def _check_array(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=list[dict[str, Any]])
    except (RecursionError, msgspec.ValidationError) as error:
        raise MalformedFeedback(f"The batch is not a JSON array of events: {error}.") from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise NotJson(f"The batch is not JSON: {error}.") from error


def _is_object(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, Any])
    except (RecursionError, UnicodeDecodeError, msgspec.DecodeError):
        return False
    return True


def _codes(results: Sequence[Replayed]) -> list[str]:
    return sorted({one.code for one in results})


def _words(selection: Selection) -> str:
    said = {
        name: getattr(selection, name)
        for name in ("code", "model", "day", "source", "record_id")
        if getattr(selection, name) is not None
    }
    if selection.ids is not None:
        said["ids"] = str(len(selection.ids))
    return ",".join(f"{name}={value}" for name, value in said.items())[:200] or "all"
