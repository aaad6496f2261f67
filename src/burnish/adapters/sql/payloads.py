"""What was found out about payloads, in SQL: tables `payload_sources` and `payload_contents`."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, text

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.rows import inserting
from burnish.adapters.sql.schema_inputs import payload_contents, payload_sources
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

    def fetched(self, uris: Collection[str]) -> dict[str, str | Reason]:
        """Return, for URIs that were tried, the digest of what each gave first, or why none."""
        found: dict[str, str | Reason] = {}
        columns = payload_sources.c.uri, payload_sources.c.sha256, payload_sources.c.reason
        with self._engine.connect() as connection:
            for chunk in _chunks({_name(uri) for uri in uris}):
                query = select(*columns).where(payload_sources.c.uri_sha256.in_(chunk))
                for uri, sha256, reason in connection.execute(query):
                    found[uri] = sha256 or Reason(reason)
        return found

    def shown(self, contents: Collection[str], how: NearDuplicate) -> dict[str, str | Reason]:
        """Return, for contents that were looked at as closely as asked, what stands for each.

        What is no image is no input.
        """
        own = payload_contents.c.sha256
        query = select(own, payload_contents.c.pixels, _standing(how))
        found: dict[str, str | Reason] = {}
        with self._engine.connect() as connection:
            for chunk in _chunks(contents):
                for sha256, pixels, stands in connection.execute(query.where(own.in_(chunk))):
                    if pixels is None:
                        found[sha256] = Reason.PAYLOAD_UNREADABLE
                    elif stands is not None:
                        found[sha256] = stands
        return found

    def replaced(self, how: NearDuplicate) -> bool:
        """Tell whether any content is no image, or has another one standing for it."""
        other = _standing(how) != payload_contents.c.sha256
        query = select(payload_contents.c.id).where(payload_contents.c.pixels.is_(None) | other)
        with self._engine.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

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
        with writing(self._engine) as connection:
            for chunk in _chunks(digests):
                for table in (payload_contents, payload_sources):
                    connection.execute(delete(table).where(table.c.sha256.in_(chunk)))

    def failed(self, *, limit: int) -> list[str]:
        """Return URIs that gave nothing when they were tried last, the longest ago first."""
        query = select(payload_sources.c.uri).where(payload_sources.c.reason.is_not(None))
        query = query.order_by(payload_sources.c.tried_at, payload_sources.c.uri_sha256)
        with self._engine.connect() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def note(self, fetched: Sequence[Fetched], *, now: datetime) -> None:
        """Note what URIs gave. One that has given bytes keeps standing for those."""
        if not fetched:
            return
        rows = [
            {
                "uri_sha256": _name(one.uri),
                "uri": one.uri,
                "sha256": one.sha256,
                "reason": one.reason,
                "detail": one.detail,
                "tried_at": now,
            }
            for one in fetched
        ]
        with writing(self._engine) as connection:
            added = inserting(connection, payload_sources)
            statement = added.on_conflict_do_update(
                index_elements=["uri_sha256"],
                set_={name: added.excluded[name] for name in rows[0]},
                where=payload_sources.c.sha256.is_(None),
            )
            connection.execute(statement, sorted(rows, key=lambda row: str(row["uri_sha256"])))

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
            last = _last(connection)
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
            if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
                connection.execute(text("LOCK TABLE payload_contents IN EXCLUSIVE MODE"))
            if _last(connection) != expected:
                raise Stale("Other payloads were looked at meanwhile.", expected=expected)
            own = payload_contents.c.sha256
            connection.execute(
                delete(payload_contents).where(own.in_([one.sha256 for one in seen]))
            )
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
            return _last(connection)


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


def _last(connection: Connection) -> int:
    return connection.scalar(select(func.max(payload_contents.c.id))) or 0


def _chunks(values: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield tuple(ordered[start : start + CHUNK])
