"""Audit: who changed what, from what to what, why; one row in the transaction of each change."""

from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from burnish.kernel.digest import canonical, digest


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts: a person or service by key, or the system itself, and the trace it acts in."""

    name: str
    trace_id: str = ""


SYSTEM = Actor(name="system")


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One row of the append-only, hash-chained audit log."""

    id: int
    at: datetime
    actor: str
    action: str  # "release.rolled_back"
    subject: str  # "release:0192…"
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    trace_id: str
    hash: str  # digest of the previous row's hash and of this row

    def chained(self, previous: str) -> str:
        """Return the hash that this row must carry after a row that carries `previous`."""
        row = {
            "at": self.at.isoformat(),
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "trace_id": self.trace_id,
        }
        return digest(previous.encode() + canonical(row))


class Audit(Protocol):
    """Where a use case leaves its audit row, in the transaction of its change."""

    def record(
        self,
        actor: Actor,
        action: str,
        subject: str,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """Append one row to the chain."""
        ...
