"""Events: what the platform tells the world, through the outbox and never by hand."""

from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened; `id` is the outbox row's, by which consumers dedupe."""

    id: int
    type: str  # "ModelDeployed"
    model: str
    subject: str  # the id of the thing it happened to
    at: datetime
    trace_id: str
    data: dict[str, Any]


class Outbox(Protocol):
    """Where a use case leaves its events, in the transaction of its change."""

    def publish(
        self, type_: str, model: str, subject: str, data: dict[str, Any] | None = None
    ) -> None:
        """Add an event; it leaves iff the transaction commits, in commit order per model."""
        ...


class EventLog(Protocol):
    """The outbox read back, for live streams."""

    def after(self, last_id: int, *, limit: int) -> list[Event]:
        """Return up to `limit` events with greater ids, ascending."""
        ...

    def last_id(self) -> int:
        """Return the greatest id so far, 0 if there is none."""
        ...


class Signals(Protocol):
    """Wakes waiting runs, in the transaction of the change that they wait for."""

    def wake(self, run: str, key: str) -> None:
        """Tell a run to look again; the same key twice wakes it once."""
        ...
