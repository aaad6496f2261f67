"""The statements of the PostgreSQL queue: its tables, and how they are read without a gap.

A row knows the transaction that inserted it. Transactions commit in another order than they began,
so a cursor over ids would pass over a row that becomes visible late. Ours stays below the oldest
transaction that still runs: whatever it has passed, nothing can appear behind it any more.
"""

from datetime import date, timedelta
from typing import Final, LiteralString

from psycopg import sql

_TABLES: Final = """\
CREATE TABLE IF NOT EXISTS {queue} (
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    queued_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    content_type text NOT NULL DEFAULT 'application/json',
    body text NOT NULL
) PARTITION BY RANGE (queued_at);
CREATE INDEX IF NOT EXISTS {index} ON {queue} (txid, id);
-- Takes the rows of a day that has no partition, so that no insert ever fails for want of one.
CREATE TABLE IF NOT EXISTS {rest} PARTITION OF {queue} DEFAULT;
CREATE TABLE IF NOT EXISTS {cursor} (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    shard text NOT NULL DEFAULT '',
    spool_end bigint NOT NULL DEFAULT 0,
    taken_txid xid8 NOT NULL DEFAULT '0',
    taken_id bigint NOT NULL DEFAULT 0,
    persisted_txid xid8 NOT NULL DEFAULT '0',
    persisted_id bigint NOT NULL DEFAULT 0
);
INSERT INTO {cursor} DEFAULT VALUES ON CONFLICT DO NOTHING;
"""
# What fits into a batch is decided before any body is read: lengths are cheap.
_NEXT: Final = """\
SELECT txid::text, id, content_type, body FROM (
    SELECT *, sum(octet_length(body)) OVER (ORDER BY txid, id) - octet_length(body) AS before
    FROM (
        SELECT txid, id, content_type, body FROM {queue}
        WHERE (txid, id) > (%(txid)s::xid8, %(id)s)
            AND txid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY txid, id LIMIT %(rows)s
    ) AS rows
) AS counted WHERE before < %(bytes)s ORDER BY txid, id"""
_LOAD: Final = """\
SELECT shard, spool_end, taken_txid::text, taken_id, persisted_txid::text, persisted_id
FROM {cursor}"""
_SAVE: Final = """\
UPDATE {cursor} SET shard = %s, spool_end = %s,
    taken_txid = %s::xid8, taken_id = %s, persisted_txid = %s::xid8, persisted_id = %s"""
# A dump brings transaction numbers of another server, which here lie in the future: never seen of
# one's own, they would be waited for, or the cursor would be ahead of all that comes.
_RESTAMP: Final = """\
UPDATE {queue} SET txid = DEFAULT WHERE txid >= pg_snapshot_xmax(pg_current_snapshot())"""
_REWIND: Final = """\
UPDATE {cursor} SET taken_txid = '0', taken_id = 0, persisted_txid = '0', persisted_id = 0
WHERE taken_txid >= pg_snapshot_xmax(pg_current_snapshot())"""
_BEYOND: Final = """\
SELECT EXISTS (SELECT FROM {part} WHERE (txid, id) > (%s::xid8, %s))"""
_HELD_BACK: Final = """\
SELECT extract(epoch FROM clock_timestamp() - min(queued_at))::float8 FROM {queue}
WHERE txid >= pg_snapshot_xmin(pg_current_snapshot())"""
_PARTITIONS: Final = """\
SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
WHERE inhparent = to_regclass(%s) AND relname <> %s"""


def tables_text(table: str) -> str:
    """Return the statements that make the tables, for a person to run."""
    return QueueSql(table).tables.as_string(None)


class QueueSql:
    """The statements for one table, by its name."""

    def __init__(self, table: str) -> None:
        self.table, self.rest = table, f"{table}_rest"
        self._names = {
            "queue": sql.Identifier(table),
            "index": sql.Identifier(f"{table}_by_txid"),
            "rest": sql.Identifier(self.rest),
            "cursor": sql.Identifier(f"{table}_cursor"),
        }
        self.tables = self._of(_TABLES)
        self.next = self._of(_NEXT)
        self.load = self._of(_LOAD)
        self.save = self._of(_SAVE)
        self.restamp = self._of(_RESTAMP)
        self.rewind = self._of(_REWIND)
        self.held_back = self._of(_HELD_BACK)
        self.partitions: LiteralString = _PARTITIONS
        self.lock = self._of("LOCK TABLE ONLY {queue} IN ACCESS EXCLUSIVE MODE")
        self.clear_rest = self._of("DELETE FROM {rest} WHERE (txid, id) <= (%s::xid8, %s)")

    def partition(self, day: date) -> str:
        """Return the name of a day's partition, which its day can be read from."""
        return f"{self.table}_{day:%Y%m%d}"

    def day(self, partition: str) -> date:
        """Return the day of a partition."""
        return date.fromisoformat(partition.removeprefix(f"{self.table}_"))

    def create(self, day: date) -> sql.Composed:
        """Make the partition of a day, in UTC."""
        return self._of(
            "CREATE TABLE IF NOT EXISTS {part} PARTITION OF {queue} FOR VALUES FROM ({a}) TO ({b})",
            part=sql.Identifier(self.partition(day)),
            a=sql.Literal(f"{day} 00:00:00+00"),
            b=sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
        )

    def beyond(self, partition: str) -> sql.Composed:
        """Ask whether a partition holds a row beyond a place."""
        return self._of(_BEYOND, part=sql.Identifier(partition))

    def drop(self, partition: str) -> sql.Composed:
        """Drop a partition."""
        return self._of("DROP TABLE {part}", part=sql.Identifier(partition))

    def _of(self, text: LiteralString, **more: sql.Composable) -> sql.Composed:
        return sql.SQL(text).format(**self._names, **more)
