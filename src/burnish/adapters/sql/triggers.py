"""Triggers in SQL: tables `decisions` and `trigger_pauses`."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, insert, select, update

from burnish.adapters.sql.rows import inserting, read
from burnish.adapters.sql.schema import decisions, trigger_pauses
from burnish.datasets.contents import Noted
from burnish.feedback.verdict import Offsets
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Decision, DecisionEntry, Facts, Pause, Rule


class DecisionStore:
    """Port `triggers.ports.DecisionStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        policy: ModelPolicy,
        decision: Decision,
        facts: Facts,
        *,
        at: datetime,
        offsets: Offsets,
        noted: Noted,
        run: RunId | None,
    ) -> DecisionEntry:
        """Store a decision on the policy's model, with what it knew and the run that it started."""
        row = {
            "model": policy.name,
            "at": at,
            "until": at,
            "fire": decision.fire,
            "rule": decision.rule.value,
            "hold": decision.hold and decision.hold.value,
            "reason": decision.reason,
            "corrections": decision.corrections,
            "policy_digest": policy.digest,
            "offsets": offsets,
            "facts": msgspec.to_builtins(facts),
            "noted": msgspec.to_builtins(noted),
            "run": run,
        }
        added = self._connection.execute(insert(decisions).values(**row).returning(decisions.c.id))
        return msgspec.convert({**row, "id": added.scalar_one()}, DecisionEntry)

    def extend(
        self, entry: DecisionEntry, *, until: datetime, offsets: Offsets, noted: Noted
    ) -> DecisionEntry:
        """Note that a decision still held at a later look, which found so much."""
        found = {"until": until, "offsets": offsets, "noted": msgspec.to_builtins(noted)}
        self._connection.execute(update(decisions).where(decisions.c.id == entry.id).values(found))
        return msgspec.structs.replace(entry, until=until, offsets=offsets, noted=noted)

    def latest(self, model: str) -> DecisionEntry | None:
        """Return the newest decision, if there is one."""
        return self._first(_newest(model))

    def last_fired(self, model: str) -> DecisionEntry | None:
        """Return the newest decision that started a run, if there is one."""
        return self._first(_newest(model).where(decisions.c.fire))

    def history(self, model: str, since: datetime) -> list[DecisionEntry]:
        """Return the decisions that held at or after a moment, oldest first."""
        query = select(decisions).where(decisions.c.model == model, decisions.c.until >= since)
        rows = self._connection.execute(query.order_by(decisions.c.id)).mappings()
        return [read(row, DecisionEntry) for row in rows]

    def list(self, model: str, *, limit: int = 100) -> list[DecisionEntry]:
        """Return decisions, newest first."""
        rows = self._connection.execute(_newest(model).limit(limit)).mappings()
        return [read(row, DecisionEntry) for row in rows]

    def _first(self, query: Select[Any]) -> DecisionEntry | None:
        row = self._connection.execute(query.limit(1)).mappings().one_or_none()
        return None if row is None else read(row, DecisionEntry)


class PauseStore:
    """Port `triggers.ports.PauseStore` on one connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, model: str) -> tuple[Pause, ...]:
        """Return the pauses of a model, by trigger."""
        query = (
            select(
                trigger_pauses.c.trigger,
                trigger_pauses.c.actor,
                trigger_pauses.c.reason,
                trigger_pauses.c.at,
            )
            .where(trigger_pauses.c.model == model)
            .order_by(trigger_pauses.c.trigger)
        )
        return tuple(read(row, Pause) for row in self._connection.execute(query).mappings())

    def put(self, model: str, pause: Pause) -> None:
        """Pause a trigger; one that is paused already takes the new reason."""
        row = {
            "model": model,
            "trigger": pause.trigger.value,
            "actor": pause.actor,
            "reason": pause.reason,
            "at": pause.at,
        }
        added = inserting(self._connection, trigger_pauses).values(row)
        self._connection.execute(
            added.on_conflict_do_update(index_elements=["model", "trigger"], set_=row)
        )

    def remove(self, model: str, trigger: Rule) -> None:
        """Resume a trigger, if it is paused."""
        self._connection.execute(
            delete(trigger_pauses).where(
                trigger_pauses.c.model == model, trigger_pauses.c.trigger == trigger.value
            )
        )


def _newest(model: str) -> Select[Any]:
    return select(decisions).where(decisions.c.model == model).order_by(decisions.c.id.desc())
