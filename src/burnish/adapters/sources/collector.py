"""Reads SQL sources until caught up: each page becomes an object of the raw log, then the next.

A page is judged as the front judges, stored under a name made of its content, and listed together
with the watermark behind it. Who dies before that reads the page again, perhaps with more rows:
what was stored is then listed by nobody, and found by nobody.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from burnish.adapters.raw_object import encode, object_key
from burnish.adapters.sources.databases import Database, opened
from burnish.adapters.sources.places import Places, SourceFailed, SourceMisfit
from burnish.adapters.sql.sources import SqlSources
from burnish.feedback.model import ModelFacts, RawObject, Rejection
from burnish.feedback.quarantine import Entry, entries
from burnish.feedback.tabular import Cursor, SourceRow, judge, missing_columns
from burnish.kernel.clock import Clock
from burnish.kernel.digest import digest, hexadecimal
from burnish.kernel.errors import BurnishError, Stale
from burnish.kernel.objects import Objects
from burnish.kernel.policy import ModelPolicy, SqlSource, shard_of

_log = structlog.get_logger("burnish.sources")

_ATTEMPTS: Final = 3
_FIRST_WAIT_S: Final = 0.2  # doubles after each failed attempt
_MAX_PARALLEL: Final = 16  # sources of one model read at once
_NAME_DIGITS: Final = 32  # of a content's digest: enough to be the only one of its name


class Collected(Struct, frozen=True, kw_only=True):
    """What one look at a source brought."""

    records: int = 0
    refused: int = 0


class SourceCollector:
    """Brings the rows of a model's SQL sources into the raw log.

    Args:
        objects: where the raw log lies.
        sources: how far each source is read.
        places: where the databases are.
        clock: tells when a page was read.
        pause: waits between attempts, in seconds.
    """

    def __init__(
        self,
        *,
        objects: Objects,
        sources: SqlSources,
        places: Places,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._objects = objects
        self._sources = sources
        self._places = places
        self._clock = clock
        self._pause = pause

    def collect(self, policy: ModelPolicy) -> Mapping[str, Collected]:
        """Read every source of a policy to its end, all at once; return what each brought.

        Every source is read as far as it goes, also when another one fails.

        Raises SourceFailed or SourceMisfit: the first by name that could not be read to its end.
        """
        if not policy.sources:
            return {}
        names = sorted(policy.sources)
        with ThreadPoolExecutor(min(_MAX_PARALLEL, len(names)), "source") as pool:
            started = {name: pool.submit(self._collect, policy, name) for name in names}
        return {name: future.result() for name, future in started.items()}

    def _collect(self, policy: ModelPolicy, name: str) -> Collected:
        wait = _FIRST_WAIT_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._read(policy, name)
            except SourceMisfit as error:
                raise self._named(policy, name, error) from error
            except SourceFailed as error:
                _log.warning("source.failed", model=policy.name, source=name, error=error.detail)
                if attempt == _ATTEMPTS:
                    raise self._named(policy, name, error) from error
            self._pause(wait)
            wait *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _read(self, policy: ModelPolicy, name: str) -> Collected:
        source, total = policy.sources[name], Collected()
        with opened(self._places.url(source.database)) as database:
            while True:
                try:
                    page, more = self._page(policy, name, database)
                except Stale:  # another worker reads the same source: go on behind it
                    continue
                total = Collected(
                    records=total.records + page.records, refused=total.refused + page.refused
                )
                if not more:
                    break
        if total != Collected():
            _log.info(
                "source.read", model=policy.name, source=name, **msgspec.structs.asdict(total)
            )
        return total

    def _page(self, policy: ModelPolicy, name: str, database: Database) -> tuple[Collected, bool]:
        """Store the next page, if there is one; tell whether there may be more."""
        source, shard = policy.sources[name], shard_of(policy.name, name)
        after, offset = self._sources.standing(shard)
        found = database.page(source, after, source.row_limit + 1)
        if not found:
            return Collected(), False
        _check(source, after, found)
        rows, now = found[: source.row_limit], self._clock()
        judged = judge(
            rows,
            source=f"sql:{policy.name}.{name}",
            model=policy.name,
            facts=ModelFacts.of(policy),
            offset=offset,
            received_at=now,
        )
        entry = None
        if judged.records:
            data = encode(judged.records)
            first, last = judged.records[0].offset, judged.records[-1].offset
            entry = RawObject(
                shard=shard,
                first_offset=first,
                last_offset=last,
                key=object_key(shard, first, last, now, content=digest(data)),
                sha256=digest(data),
                records=len(judged.records),
                bytes=len(data),
            )
            self._objects.put(entry.key, data)
        self._sources.advance(
            shard,
            expected=after,
            to=rows[-1].place,
            entry=entry,
            refused=self._quarantine(judged.rejections),
            now=now,
        )
        got = Collected(records=len(judged.records), refused=len(judged.rejections))
        return got, len(found) > len(rows)

    def _quarantine(self, rejections: Sequence[Rejection]) -> list[Entry]:
        """Store what no record can be made of; return the rows that are to list it."""
        listed: list[Entry] = []
        for code in sorted({one.code for one in rejections}):
            lines = [msgspec.json.encode(one) for one in rejections if one.code == code]
            data = b"\n".join(lines) + b"\n"
            name = hexadecimal(digest(data))[:_NAME_DIGITS]
            key = f"quarantine/{code}/dt={rejections[0].received_at:%Y-%m-%d}/{name}.ndjson"
            self._objects.put(key, data)
            listed += entries(key, data)
        return listed

    def _named(self, policy: ModelPolicy, name: str, error: BurnishError) -> BurnishError:
        return type(error)(
            f"Source {name!r} of {policy.name} (database {policy.sources[name].database!r}) could"
            f" not be read: {error.detail} Nothing was built, and what serves goes on serving."
            " Mend it and retry the run, or take the source out of the policy.",
            source=name,
            model=policy.name,
        )


def _check(source: SqlSource, after: Cursor | None, rows: Sequence[SourceRow]) -> None:
    """Refuse a query that makes no records, or whose rows could be passed over."""
    if missing := missing_columns(rows[0].values.keys()):
        raise SourceMisfit(
            f"The query selects no column {', no '.join(missing)}: name them with AS."
        )
    before = after
    for row in rows:
        if row.place == before:
            raise SourceMisfit(
                f"Two rows have {source.watermark} {row.place[0]!r} and {source.key}"
                f" {row.place[1]!r}: name a key that tells them apart."
            )
        before = row.place
