"""The quarantine over HTTP: what was refused and why, and its replay."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from burnish.api.auth import Asked, actor_of
from burnish.api.control import Control
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.feedback.quarantine import Count, Entry, EntryState, Selection, rejection_at
from burnish.feedback.replay import PAGE, Replay, replay

MAX_PAGE = 1000  # entries of one answer

Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class EntryPage(Struct, kw_only=True):
    """Some entries, newest first."""

    items: list[Entry]
    next: str | None  # hand it in as `after` for the ones before these; None: that was all


class EntryView(Entry, frozen=True, kw_only=True):
    """An entry and its record, verbatim."""

    first_code: str  # what it was refused for when it came; `code` is the newest reason
    first_detail: str
    content_type: str
    content_encoding: str  # of a body that could not be expanded
    ce: dict[str, str]
    body: str | None  # None if it is not UTF-8: then `body_b64`
    body_b64: bytes | None


class ReplayRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which entries to replay, and why; without any filter, all open ones."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    code: str | None = None
    model: str | None = None
    day: str | None = None
    ids: Annotated[list[str], Meta(max_length=MAX_PAGE)] | None = None
    dry_run: bool = False  # judge, but send nothing
    after: str | None = None  # `next` of the call before; it knows where the replay is to end
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


@get("/v1/quarantine", sync_to_thread=True, responses=RESPONSES)
def list_quarantine(
    state: State,
    *,
    code: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    day: FromQuery[str | None] = None,
    status: FromQuery[EntryState | None] = EntryState.OPEN,
    after: FromQuery[str | None] = None,
    limit: FromQuery[Limit] = 50,
) -> EntryPage:
    """List refused records, newest first; those that are still open unless `status` says else."""
    control: Control = state.control
    selection = Selection(code=code, model=model, day=day, state=status)
    with control.views() as view:
        items = view.quarantine.page(selection, after=after, limit=limit + 1, ascending=False)
    more = len(items) > limit
    return EntryPage(items=items[:limit], next=items[limit - 1].id if more else None)


@get("/v1/quarantine/counts", sync_to_thread=True, responses=RESPONSES)
def count_quarantine(
    state: State,
    code: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    day: FromQuery[str | None] = None,
) -> Items[Count]:
    """Count refused records by code, model and state; the most numerous first."""
    control: Control = state.control
    with control.views() as view:
        return Items(
            items=view.quarantine.counts(Selection(code=code, model=model, day=day, state=None))
        )


@get("/v1/quarantine/{entry_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_quarantined(state: State, entry_id: FromPath[str]) -> EntryView:
    """Show a refused record, verbatim."""
    control: Control = state.control
    with control.views() as view:
        entry = view.quarantine.get(entry_id)
    record = rejection_at(control.objects.get(entry.key), entry.line)
    return EntryView(
        **msgspec.structs.asdict(entry),
        first_code=record.code,
        first_detail=record.detail,
        content_encoding=record.content_encoding,
        content_type=record.content_type,
        ce=record.ce,
        body=record.body,
        body_b64=record.body_b64,
    )


@post("/v1/quarantine/replay", status_code=200, sync_to_thread=True, responses=RESPONSES)
def replay_quarantine(request: Asked, state: State, data: JSONBody[ReplayRequest]) -> Replay:
    """Offer open entries to ingest again, oldest first, up to `limit` of them."""
    control: Control = state.control
    actor = actor_of(request)
    ids = None if data.ids is None else tuple(data.ids)
    return replay(
        lambda: control.units(actor),
        control.objects,
        control.front,
        control.models(),
        Selection(code=data.code, model=data.model, day=data.day, ids=ids),
        after=data.after,
        limit=data.limit,
        dry_run=data.dry_run,
        actor=actor,
        reason=data.reason,
        now=control.clock(),
    )
