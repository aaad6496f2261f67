"""Crash points around every commit, named by what the transaction changes; see `crash`.

They cost nothing in production: who makes an engine asks for them only where one is to be reached.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine, TableClause, event
from sqlalchemy.sql.dml import Insert, UpdateBase

from burnish.adapters.crash import crash_point

_NAMED_BY: Final = {"audit": "action", "outbox": "type"}  # the first of these says what was done
_CHANGES: Final = "burnish.changes"
_COMMITTED: Final = "burnish.committed"


def die_around_commits(engine: Engine) -> None:
    """Have every transaction of an engine pass its two points."""
    event.listen(engine, "before_execute", _note)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "commit", _before)
    event.listen(engine, "checkin", _after)


def _note(connection: Connection, statement: Any, *_: Any) -> None:
    if not isinstance(statement, UpdateBase) or not isinstance(statement.table, TableClause):
        return
    table = name = statement.table.name
    if isinstance(statement, Insert) and table in _NAMED_BY:
        name = statement.compile().params[_NAMED_BY[table]]
    changes: dict[str, list[str]] = connection.info.setdefault(_CHANGES, {})
    changes.setdefault(table if table in _NAMED_BY else "", []).append(name)


def _forget(connection: Connection) -> None:
    connection.info.pop(_CHANGES, None)


def _before(connection: Connection) -> None:
    names = _names(connection.info.pop(_CHANGES, {}))
    connection.info[_COMMITTED] = names
    for name in names:
        crash_point(f"commit.before:{name}")


def _after(_connection: Any, record: Any) -> None:
    """Pass when the connection goes back to its pool, which follows a commit at once."""
    for name in record.info.pop(_COMMITTED, ()):
        crash_point(f"commit.after:{name}")


def _names(changes: dict[str, list[str]]) -> list[str]:
    """Return what a transaction is known by, each name once.

    >>> _names({"": ["runs", "run_steps"], "outbox": ["RunMoved"], "audit": ["run.collect"]})
    ['run.collect']
    >>> _names({"": ["feedback", "shards", "feedback"]})
    ['feedback', 'shards']
    """
    said = next((changes[table] for table in _NAMED_BY if table in changes), changes.get("", []))
    return list(dict.fromkeys(said))
