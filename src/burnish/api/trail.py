"""What happened: live events as a stream, and the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, HeaderParameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from burnish.api.control import Control
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.audit import AuditEntry
from burnish.kernel.events import Event

POLL_S: Final = 0.1  # between two looks at the outbox
KEEPALIVE_S: Final = 15.0  # a comment now and then tells both ends that the other is there
PAGE: Final = 200  # events read at once


@get("/v1/events", media_type="text/event-stream", sync_to_thread=True, responses=RESPONSES)
def stream_events(
    state: State,
    model: FromQuery[str | None] = None,
    after: FromQuery[int | None] = None,
    last_event_id: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", required=False)
    ] = None,
) -> ServerSentEvent:
    """Stream events as they happen; after `Last-Event-ID` or `after`, else from now on."""
    control: Control = state.control
    if last_event_id is not None and last_event_id.isdigit():
        after = int(last_event_id)
    if after is None:
        with control.views() as view:
            after = view.events.last_id()
    return ServerSentEvent(_messages(control, model, after))


@get("/v1/audit", sync_to_thread=True, responses=RESPONSES)
def list_audit(state: State, limit: FromQuery[int] = 50) -> Items[AuditEntry]:
    """List the newest rows of the audit log."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=view.audit_log.newest(limit=limit))


async def _messages(
    control: Control, model: str | None, after: int
) -> AsyncIterator[ServerSentEventMessage]:
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    while True:
        events = await asyncio.to_thread(_events, control, after)
        for event in events:
            after = event.id
            if model is None or event.model == model:
                spoken = loop.time()
                data = msgspec.json.encode(event).decode()
                yield ServerSentEventMessage(data=data, event=event.type, id=event.id)
        if len(events) == PAGE:
            continue
        if control.draining():
            return
        if loop.time() - spoken > KEEPALIVE_S:
            spoken = loop.time()
            yield ServerSentEventMessage(data=None, comment="still here")
        await asyncio.sleep(POLL_S)


def _events(control: Control, after: int) -> list[Event]:
    with control.views() as view:
        return view.events.after(after, limit=PAGE)
