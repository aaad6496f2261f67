"""Trigger decisions in SQL: table `decisions`."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, insert, select

from burnish.adapters.sql.rows import columns, read
from burnish.adapters.sql.schema import decisions
from burnish.feedback.verdict import Offsets
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Decision, DecisionEntry


class DecisionStore:
    """Port `triggers.ports.DecisionStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        policy: ModelPolicy,
        decision: Decision,
        *,
        at: datetime,
        offsets: Offsets,
        run: RunId | None,
    ) -> DecisionEntry:
        """Store a decision on the policy's model, with the run that it started."""
        row = {
            "model": policy.name,
            "at": at,
            **columns(decision),
            "policy_digest": policy.digest,
            "offsets": offsets,
            "run": run,
        }
        added = self._connection.execute(insert(decisions).values(**row).returning(decisions.c.id))
        return msgspec.convert({**row, "id": added.scalar_one()}, DecisionEntry)

    def latest(self, model: str) -> DecisionEntry | None:
        """Return the newest decision, if there is one."""
        return self._first(_newest(model))

    def last_fired(self, model: str) -> DecisionEntry | None:
        """Return the newest decision that started a run, if there is one."""
        return self._first(_newest(model).where(decisions.c.fire))

    def list(self, model: str, *, limit: int = 100) -> list[DecisionEntry]:
        """Return decisions, newest first."""
        rows = self._connection.execute(_newest(model).limit(limit)).mappings()
        return [read(row, DecisionEntry) for row in rows]

    def _first(self, query: Select[Any]) -> DecisionEntry | None:
        row = self._connection.execute(query.limit(1)).mappings().one_or_none()
        return None if row is None else read(row, DecisionEntry)


def _newest(model: str) -> Select[Any]:
    return select(decisions).where(decisions.c.model == model).order_by(decisions.c.id.desc())
