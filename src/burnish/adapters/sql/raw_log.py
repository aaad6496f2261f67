"""The manifest of the raw log in the metadata database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.rows import insert_new
from burnish.adapters.sql.schema import raw_objects
from burnish.adapters.system import utc_now
from burnish.feedback.model import RawObject
from burnish.kernel.errors import Conflict

_FIELDS = RawObject.__struct_fields__


class ManifestConflict(Conflict):
    """The row would overlap another object's offsets, or leave a gap before its own."""

    code = "raw_log.manifest_conflict"


class SqlManifest:
    """The rows of `raw_objects`: per shard contiguous from 0, never changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def commit(self, entry: RawObject) -> None:
        """Add the row; the same row again is a no-op. Raises ManifestConflict."""
        with writing(self._engine) as connection:
            add(connection, entry, utc_now())

    def all(self) -> list[RawObject]:
        """Return every object, by shard and offset."""
        query = select(raw_objects).order_by(raw_objects.c.shard, raw_objects.c.first_offset)
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def replace(self, old: RawObject, new: RawObject) -> None:
        """List another object for the same offsets: an erasure has rewritten it.

        Raises ManifestConflict if `old` is not what is listed.
        """
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(raw_objects)
                .where(
                    raw_objects.c.shard == old.shard,
                    raw_objects.c.first_offset == old.first_offset,
                    raw_objects.c.sha256 == old.sha256,
                )
                .values(key=new.key, sha256=new.sha256, bytes=new.bytes)
            )
        if changed.rowcount != 1:
            raise ManifestConflict(f"{old.key!r} is no longer what is listed.")

    def end(self) -> dict[str, int]:
        """Return per shard the first offset that is in no object yet."""
        query = select(raw_objects.c.shard, func.max(raw_objects.c.last_offset) + 1).group_by(
            raw_objects.c.shard
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def covering(self, shard: str, first: int, end: int) -> list[RawObject]:
        """Return the objects that hold any offset in `first <= offset < end`, ascending."""
        query = (
            select(raw_objects)
            .where(
                raw_objects.c.shard == shard,
                raw_objects.c.last_offset >= first,
                raw_objects.c.first_offset < end,
            )
            .order_by(raw_objects.c.first_offset)
        )
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]


def add(connection: Connection, entry: RawObject, now: datetime) -> None:
    """Add a row inside a transaction, as `SqlManifest.commit` does. Raises ManifestConflict."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
    values["created_at"] = now
    end = end_of(connection, entry.shard)  # before the look at what is known: it only grows
    known = _at(connection, entry)
    if known is None:
        if end != entry.first_offset:
            raise ManifestConflict(
                f"{entry.key!r} begins at {entry.first_offset}, "
                f"but shard {entry.shard!r} is listed up to {end}."
            )
        # Two that begin at the same end cannot both be added: the next one starts there.
        if insert_new(connection, raw_objects, values):
            return
        known = _at(connection, entry)
    if known is None or not _same_range(known, entry):
        raise ManifestConflict(f"{entry.key!r} is listed with other facts.")


def _at(connection: Connection, entry: RawObject) -> RawObject | None:
    """Return the listed object that begins where `entry` does, if there is one."""
    query = select(raw_objects).where(
        raw_objects.c.shard == entry.shard, raw_objects.c.first_offset == entry.first_offset
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _entry(row)


def stem(key: str) -> str:
    """Return the part of an object's key that an erasure does not change.

    >>> stem("raw/dt=2026-05-01/hh=10/0/0-9.3f5c.ndjson.zst")
    'raw/dt=2026-05-01/hh=10/0/0-9'
    """
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _same_range(known: RawObject, entry: RawObject) -> bool:
    """Tell whether a listed object is `entry`, or what an erasure has made of it."""
    rewritten = known.key != entry.key and stem(known.key) == stem(entry.key)
    return known == entry or (rewritten and known.last_offset == entry.last_offset)


def end_of(connection: Connection, shard: str) -> int:
    """Return the first offset of a shard that is in no object yet."""
    last = connection.scalar(
        select(func.max(raw_objects.c.last_offset)).where(raw_objects.c.shard == shard)
    )
    return 0 if last is None else last + 1


def _entry(row: RowMapping) -> RawObject:
    return RawObject(**{name: row[name] for name in _FIELDS})
