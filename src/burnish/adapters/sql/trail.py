"""The audit chain and the outbox in the database."""

from typing import Any

from sqlalchemy import Connection, func, insert, select

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import read
from burnish.adapters.sql.schema import audit, outbox
from burnish.kernel.audit import Actor, AuditEntry
from burnish.kernel.clock import Clock
from burnish.kernel.events import Event


class SqlAudit:
    """Implements `kernel.audit.Audit` inside one transaction."""

    def __init__(self, connection: Connection, clock: Clock, locks: Locks) -> None:
        self._connection = connection
        self._clock = clock
        self._locks = locks

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
        self._locks.trail()
        newest = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
        previous = self._connection.execute(newest).scalar_one_or_none() or ""
        entry = AuditEntry(
            id=0,
            at=self._clock(),
            actor=actor.name,
            action=action,
            subject=subject,
            before=before,
            after=after,
            reason=reason,
            trace_id=actor.trace_id,
            hash="",
        )
        self._connection.execute(
            insert(audit).values(
                at=entry.at,
                actor=entry.actor,
                action=action,
                subject=subject,
                before=before,
                after=after,
                reason=reason,
                trace_id=actor.trace_id,
                hash=entry.chained(previous),
            )
        )

    def newest(self, *, limit: int) -> list[AuditEntry]:
        """Return the newest rows, newest first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        return [read(row, AuditEntry) for row in self._connection.execute(query).mappings()]

    def broken_at(self) -> int | None:
        """Return the id of the first row whose hash does not follow, None if all do."""
        previous = ""
        for row in self._connection.execute(select(audit).order_by(audit.c.id)).mappings():
            entry = read(row, AuditEntry)
            if entry.chained(previous) != entry.hash:
                return entry.id
            previous = entry.hash
        return None


class SqlOutbox:
    """Implements `kernel.events.Outbox` and `EventLog`, and `Notices`, inside one transaction."""

    def __init__(self, connection: Connection, clock: Clock, trace_id: str, locks: Locks) -> None:
        self._connection = connection
        self._clock = clock
        self._locks = locks
        self._trace_id = trace_id

    def publish(
        self, type_: str, model: str, subject: str, data: dict[str, Any] | None = None
    ) -> None:
        """Add an event; it leaves iff the transaction commits, in commit order."""
        self._locks.trail()
        self._connection.execute(
            insert(outbox).values(
                type=type_,
                model=model,
                subject=subject,
                at=self._clock(),
                trace_id=self._trace_id,
                data=data or {},
            )
        )

    def after(self, last_id: int, *, limit: int) -> list[Event]:
        """Return up to `limit` events with greater ids, ascending."""
        query = select(outbox).where(outbox.c.id > last_id).order_by(outbox.c.id).limit(limit)
        return [read(row, Event) for row in self._connection.execute(query).mappings()]

    def published(self, type_: str, subject: str) -> list[Event]:
        """Return the events of one type on one subject."""
        query = select(outbox).where(outbox.c.type == type_, outbox.c.subject == subject)
        return [read(row, Event) for row in self._connection.execute(query).mappings()]

    def last_id(self) -> int:
        """Return the greatest id so far, 0 if there is none."""
        return self._connection.execute(select(func.max(outbox.c.id))).scalar_one() or 0
