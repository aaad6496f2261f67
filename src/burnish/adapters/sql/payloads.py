"""What was found out about payloads, in SQL: tables `payload_sources` and `payload_contents`."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.schema_inputs import payload_contents, payload_sources
from burnish.datasets.contents import Noted
from burnish.datasets.model import Reason
from burnish.kernel.digest import digest
from burnish.kernel.errors import Stale
from burnish.kernel.policy import NearDuplicate

CHUNK = 500  # values in one query; SQLite of old took no more than 999 parameters


class Fetched(Struct, frozen=True, kw_only=True):
    """What one URI gave: bytes, or a reason why not."""

    uri: str
    sha256: str | None = None
    reason: Reason | None = None
    detail: str = ""


class Seen(Struct, frozen=True, kw_only=True):
    """What one content shows. A row of table `payload_contents`, but for its id."""

    sha256: str
    pixels: str | None  # None: it is no image
    fingerprint: bytes | None = None
    by_picture: str | None = None


class SqlPayloads:
    """Port `datasets.contents.PayloadStore`; each call is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def noted(self) -> Noted:
        """Return how far what is noted reaches."""
        with self._engine.connect() as connection:
            return Noted(
                uris=_last(connection, payload_sources),
                contents=_last(connection, payload_contents),
            )

    def fetched(
        self, uris: Collection[str], *, upto: Noted | None = None
    ) -> dict[str, str | Reason]:
        """Return, for URIs that were tried, the digest of what each gave first, or why none."""
        found: dict[str, str | Reason] = {}
        columns = payload_sources.c.uri, payload_sources.c.sha256, payload_sources.c.reason
        query = _in_order(select(*columns), payload_sources, None if upto is None else upto.uris)
        with self._engine.connect() as connection:
            for chunk in _chunks({_name(uri) for uri in uris}):
                rows = query.where(payload_sources.c.uri_sha256.in_(chunk))
                for uri, sha256, reason in connection.execute(rows):
                    found[uri] = sha256 or Reason(reason)
        return found

    def shown(
        self, contents: Collection[str], how: NearDuplicate, *, upto: Noted | None = None
    ) -> dict[str, str | Reason]:
        """Return, for contents that were looked at as closely as asked, what stands for each.

        What is no image is no input.
        """
        own = payload_contents.c.sha256
        columns = own, payload_contents.c.pixels, _standing(how)
        query = _in_order(
            select(*columns), payload_contents, None if upto is None else upto.contents
        )
        found: dict[str, str | Reason] = {}
        with self._engine.connect() as connection:
            for chunk in _chunks(contents):
                for sha256, pixels, stands in connection.execute(query.where(own.in_(chunk))):
                    if pixels is None:
                        found[sha256] = Reason.PAYLOAD_UNREADABLE
                    elif stands is not None:
                        found[sha256] = stands
        return found

    def replaced(self, how: NearDuplicate, *, since: Noted) -> dict[str, str | Reason]:
        """Return what `shown` would of each content noted since then that is not itself."""
        by = payload_contents.c
        other = by.pixels.is_(None) | (_standing(how) != by.sha256)
        query = select(by.sha256, by.pixels, _standing(how)).where(by.id > since.contents, other)
        with self._engine.connect() as connection:
            return {
                sha256: Reason.PAYLOAD_UNREADABLE if pixels is None else stands
                for sha256, pixels, stands in connection.execute(query.order_by(by.id))
            }

    def represented(self, digests: Collection[str]) -> set[str]:
        """Return those of these contents that stand for another one, however it is asked."""
        own = payload_contents.c.sha256
        found: set[str] = set()
        with self._engine.connect() as connection:
            for stands in (payload_contents.c.by_pixels, payload_contents.c.by_picture):
                for chunk in _chunks(digests):
                    query = select(stands).where(stands.in_(chunk), stands != own)
                    found.update(connection.execute(query).scalars())
        return found

    def forget(self, digests: Collection[str]) -> None:
        """Forget what these contents showed and where they came from: they were erased."""
        uri = payload_sources.c.uri_sha256
        with writing(self._engine) as connection:
            for chunk in _chunks(digests):
                gave = select(uri).where(payload_sources.c.sha256.in_(chunk))
                connection.execute(delete(payload_sources).where(uri.in_(gave)))
                connection.execute(
                    delete(payload_contents).where(payload_contents.c.sha256.in_(chunk))
                )

    def failed(self, *, limit: int) -> list[str]:
        """Return URIs that gave nothing when they were tried last, the longest ago first."""
        tried, later = payload_sources, payload_sources.alias("later")
        again = select(later.c.id).where(
            later.c.uri_sha256 == tried.c.uri_sha256, later.c.id > tried.c.id
        )
        query = select(tried.c.uri).where(tried.c.reason.is_not(None), ~again.exists())
        query = query.order_by(tried.c.tried_at, tried.c.uri_sha256)
        with self._engine.connect() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def note(self, fetched: Sequence[Fetched], *, now: datetime) -> None:
        """Note what URIs gave. One that has given bytes keeps standing for those."""
        if not fetched:
            return
        with writing(self._engine) as connection:
            _alone(connection, payload_sources)
            known = self._newest(connection, {_name(one.uri) for one in fetched})
            for one in sorted(fetched, key=lambda one: one.uri):
                name = _name(one.uri)
                id_, sha256, reason = known.get(name, (0, None, None))
                if sha256 is not None:
                    continue
                if one.sha256 is None and one.reason == reason:
                    connection.execute(
                        update(payload_sources)
                        .where(payload_sources.c.id == id_)
                        .values(tried_at=now, detail=one.detail)
                    )
                    continue
                connection.execute(
                    insert(payload_sources).values(
                        uri_sha256=name,
                        uri=one.uri,
                        sha256=one.sha256,
                        reason=one.reason,
                        detail=one.detail,
                        tried_at=now,
                    )
                )

    def unseen(self, contents: Collection[str], how: NearDuplicate) -> list[str]:
        """Return those that were not looked at, or not as closely as asked, sorted."""
        query = select(payload_contents.c.sha256)
        if how is NearDuplicate.PERCEPTUAL:
            seen = payload_contents.c.by_picture.is_not(None) | payload_contents.c.pixels.is_(None)
            query = query.where(seen)
        left = set(contents)
        with self._engine.connect() as connection:
            for chunk in _chunks(contents):
                seen_already = query.where(payload_contents.c.sha256.in_(chunk))
                left -= set(connection.execute(seen_already).scalars())
        return sorted(left)

    def pictures(self, beyond: int) -> tuple[list[tuple[str, bytes]], int]:
        """Return contents that stand for a picture, in order, and the last id there is."""
        columns = payload_contents.c.sha256, payload_contents.c.fingerprint
        with self._engine.connect() as connection:
            last = _last(connection, payload_contents)
            query = select(*columns).where(
                payload_contents.c.id > beyond,
                payload_contents.c.id <= last,
                payload_contents.c.by_picture == payload_contents.c.sha256,
            )
            rows = connection.execute(query.order_by(payload_contents.c.id))
            return [(row[0], row[1]) for row in rows], last

    def see(self, seen: Sequence[Seen], *, expected: int) -> int:
        """Note what contents show; return the last id there is then.

        Raises Stale if there are rows beyond the id `expected`: they may show the same.
        """
        with writing(self._engine) as connection:
            _alone(connection, payload_contents)
            if _last(connection, payload_contents) != expected:
                raise Stale("Other payloads were looked at meanwhile.", expected=expected)
            for one in seen:
                same = payload_contents.c.pixels == one.pixels
                same &= payload_contents.c.pixels.is_not(None)  # what shows nothing is like nothing
                first = connection.scalar(select(payload_contents.c.by_pixels).where(same).limit(1))
                connection.execute(
                    insert(payload_contents).values(
                        sha256=one.sha256,
                        pixels=one.pixels,
                        fingerprint=one.fingerprint,
                        by_pixels=first or one.sha256,
                        by_picture=one.by_picture,
                    )
                )
            return _last(connection, payload_contents)

    def _newest(
        self, connection: Connection, names: Collection[str]
    ) -> dict[str, tuple[int, str | None, str | None]]:
        """Return the last row on each URI: its id, what it gave, and why nothing."""
        found: dict[str, tuple[int, str | None, str | None]] = {}
        by = payload_sources.c
        query = _in_order(select(by.uri_sha256, by.id, by.sha256, by.reason), payload_sources, None)
        for chunk in _chunks(names):
            for name, *rest in connection.execute(query.where(by.uri_sha256.in_(chunk))):
                found[name] = (rest[0], rest[1], rest[2])
        return found


def _standing(how: NearDuplicate) -> ColumnElement[str]:
    """Return what stands for a content; NULL if it was not looked at as closely as asked."""
    by = payload_contents.c
    return {
        NearDuplicate.OFF: by.sha256,
        NearDuplicate.CONTENT: by.by_pixels,
        NearDuplicate.PERCEPTUAL: by.by_picture,
    }[how]


def _name(uri: str) -> str:
    return digest(uri.encode())


def _last(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.max(table.c.id))) or 0


def _alone(connection: Connection, table: Table) -> None:
    """Keep other writers away, so that rows are committed in the order of their ids."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def _in_order(query: Select[Any], table: Table, last: int | None) -> Select[Any]:
    """Return a query of rows up to an id, the newest at the end."""
    query = query.order_by(table.c.id)
    return query if last is None else query.where(table.c.id <= last)


def _chunks(values: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield tuple(ordered[start : start + CHUNK])
