"""A queue table on a real PostgreSQL, into a real spool."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from burnish.adapters.queues.postgres import PostgresQueue, PostgresQueueSettings
from burnish.kernel.errors import InvalidInput
from support.postgres import Postgres

TABLE = "burnish_feedback"
INSERT = "INSERT INTO burnish_feedback (body) VALUES (%s)"
COUNT = "SELECT count(*) FROM burnish_feedback"


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def start(harbour: Any, url: str, eventually: Any) -> Callable[..., Any]:
    """Starts a reader, and returns what stops it."""

    def make(at: Any = harbour) -> Callable[[], None]:
        settings = PostgresQueueSettings(url=url, table=TABLE, poll_s=0.02, retry_cap_s=0.2)
        queue = PostgresQueue(settings, at.intake, at.spool)
        stop: Callable[[], None] = at.run(queue)
        eventually(lambda: queue.trouble() is None)
        eventually(lambda: partitions(url))
        return stop

    return make


def partitions(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent = to_regclass(%s) AND relname <> %s",
            (TABLE, f"{TABLE}_rest"),
        )
        return {row[0] for row in found}


def insert(url: str, *bodies: Any) -> None:
    with psycopg.connect(url) as connection:
        for body in bodies:
            connection.execute(INSERT, (body if isinstance(body, str) else json.dumps(body),))


def cursor_of(url: str) -> tuple[Any, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT taken_id, persisted_id FROM burnish_feedback_cursor"
        ).fetchone()


def test_rows_come_in_and_bad_ones_go_to_quarantine_without_stopping_those_behind(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    start()
    insert(url, record(1), "{no json", record(2, model="face"), record(3))
    insert(url, record(1, final="good", corrected=False), record(4))
    eventually(lambda: harbour.spool.end == 3)
    eventually(lambda: len(harbour.quarantine()) == 3)
    assert sorted(one["code"] for one in harbour.quarantine()) == [
        "feedback.conflict",
        "malformed_feedback_event",
        "unknown_model",
    ]
    assert sorted(harbour.ids()) == ["r-1", "r-3", "r-4"]


def test_a_row_may_hold_several_records_if_its_content_type_says_so(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    start()
    body = "\n".join(json.dumps(record(n)) for n in range(3))
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO burnish_feedback (content_type, body) VALUES (%s, %s)",
            ("application/x-ndjson", body),
        )
    eventually(lambda: harbour.spool.end == 3)


def test_a_transaction_that_commits_late_is_not_passed_over(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    # Given a transaction that has inserted, and stays open while others come and go.
    start()
    with psycopg.connect(url) as early, psycopg.connect(url) as later:
        early.execute(INSERT, (json.dumps(record("early")),))
        insert(url, record("before-1"), record("before-2"))
        later.execute(INSERT, (json.dumps(record("later")),))
        insert(url, record("between"))
        later.commit()
        ids = [row[0] for row in early.execute("SELECT id FROM burnish_feedback").fetchall()]
        assert len(ids) == 5  # those of the others are behind: a cursor over ids would be, too
        assert min(ids) == 1

        # When it commits at last, a row of its behind all of theirs among it.
        early.execute(INSERT, (json.dumps(record("early-again")),))
        early.commit()

    # Then every row is taken, once.
    eventually(lambda: harbour.spool.end == 6)
    names = ("early", "early-again", "before-1", "before-2", "later", "between")
    assert sorted(harbour.ids()) == sorted(f"r-{name}" for name in names)


def test_a_transaction_that_is_rolled_back_left_nothing_behind(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    start()
    with psycopg.connect(url) as application:
        application.execute(INSERT, (json.dumps(record(1)),))
        application.rollback()
    insert(url, record(2))
    eventually(lambda: harbour.spool.end == 1)
    assert harbour.ids() == ["r-2"]


def test_the_cursor_resumes_behind_what_was_taken(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    stop = start()
    insert(url, record(1), "{no json")
    eventually(lambda: cursor_of(url) == (2, 0))
    stop()
    start()
    insert(url, record(2))
    eventually(lambda: harbour.spool.end == 2)
    assert len(harbour.quarantine()) == 1  # it was not read again


def test_another_shard_and_a_spool_that_was_lost_begin_at_what_is_persisted(
    new_harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    # Given one row that is persisted, and one that is only in the spool of a machine that is lost.
    harbour = new_harbour(shard="7")
    stop = start(harbour)
    insert(url, record(1))
    eventually(lambda: harbour.spool.end == 1)
    harbour.seal()
    eventually(lambda: cursor_of(url) == (1, 1))
    insert(url, record(2))
    eventually(lambda: cursor_of(url) == (2, 1))
    stop()

    # When another one takes over, then the row that was lost with the disk is taken again.
    other = new_harbour(shard="8")
    start(other)
    eventually(lambda: other.spool.end == 1)
    assert other.ids() == ["r-2"]


def test_a_day_is_dropped_once_its_rows_are_in_the_raw_log_and_not_before(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    # Given rows of past days, one in a partition of its own, one among the rest.
    start()()
    old = datetime.now(UTC) - timedelta(days=3)
    day = f"{TABLE}_{old:%Y%m%d}"
    with psycopg.connect(url) as connection:
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} PARTITION OF burnish_feedback FOR VALUES FROM ({}) TO ({})"
            ).format(
                sql.Identifier(day),
                sql.Literal(f"{old:%Y-%m-%d} 00:00:00+00"),
                sql.Literal(f"{old + timedelta(days=1):%Y-%m-%d} 00:00:00+00"),
            )
        )
        for number, moment in enumerate((old, old - timedelta(days=30))):
            connection.execute(
                "INSERT INTO burnish_feedback (queued_at, body) VALUES (%s, %s)",
                (moment, json.dumps(record(number))),
            )

    # When they are taken, and not persisted, they stay, whoever looks.
    stop = start()
    eventually(lambda: cursor_of(url) == (2, 0))
    stop()
    stop = start()
    assert day in partitions(url)

    # When they are persisted, they go with the next look.
    harbour.seal()
    eventually(lambda: cursor_of(url) == (2, 2))
    stop()
    start()
    eventually(lambda: day not in partitions(url))
    with psycopg.connect(url) as connection:
        eventually(lambda: connection.execute(COUNT).fetchone() == (0,))
    assert sorted(harbour.ids()) == ["r-0", "r-1"]


def test_a_transaction_in_the_way_neither_loses_its_day_nor_waits_for_us(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    # Given a transaction that holds the table, so that no partition can be made.
    stop = start()
    stop()
    tomorrow = max(partitions(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(tomorrow)))
    with psycopg.connect(url) as application:
        application.execute(INSERT, (json.dumps(record(1)),))

        # When the reader starts, then inserts go on, and rows are taken.
        start()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SET statement_timeout = '10s'")
            other.execute(INSERT, (json.dumps(record(2)),))
        assert tomorrow not in partitions(url)
        application.commit()
    eventually(lambda: harbour.spool.end == 2)


def test_a_second_reader_stands_by_and_takes_over(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    stop = start()
    settings = PostgresQueueSettings(url=url, table=TABLE, poll_s=0.02, retry_cap_s=0.2)
    second = PostgresQueue(settings, harbour.intake, harbour.spool)
    harbour.run(second)
    eventually(lambda: "stands by" in (second.trouble() or ""))
    stop()
    eventually(lambda: second.trouble() is None)
    insert(url, record(1))
    eventually(lambda: harbour.spool.end == 1)


def test_rows_restored_from_another_server_are_taken_though_their_numbers_lie_ahead(
    harbour: Any, start: Any, url: str, record: Any, eventually: Any
) -> None:
    # Given tables as a dump would bring them: transaction numbers that this server has not reached.
    start()()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO burnish_feedback (txid, body) VALUES ('4000000000', %s)",
            (json.dumps(record(1)),),
        )
        connection.execute(
            "UPDATE burnish_feedback_cursor SET taken_txid = '3999999999', taken_id = 77"
        )
    start()
    insert(url, record(2))
    eventually(lambda: harbour.spool.end == 2)


def test_a_full_spool_holds_rows_back_and_says_so(
    new_harbour: Any, url: str, record: Any, eventually: Any
) -> None:
    harbour = new_harbour(high_water=4000, low_water=3000)
    settings = PostgresQueueSettings(url=url, table=TABLE, poll_s=0.02, retry_cap_s=0.2)
    queue = PostgresQueue(settings, harbour.intake, harbour.spool)
    harbour.run(queue)
    eventually(lambda: queue.trouble() is None and partitions(url))
    insert(url, *(record(n) for n in range(40)))
    assert "wait" in eventually(queue.trouble)
    eventually(lambda: harbour.seal() == 40)
    eventually(lambda: queue.trouble() is None)
    assert len(set(harbour.ids())) == 40


def test_a_role_that_may_not_make_the_tables_is_told_how(
    harbour: Any, url: str, eventually: Any
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    settings = PostgresQueueSettings(
        url=url.replace("postgres@", "reader@"), table=TABLE, retry_cap_s=0.2
    )
    queue = PostgresQueue(settings, harbour.intake, harbour.spool)
    stop = harbour.run(queue)
    eventually(lambda: "queue-sql" in (queue.trouble() or ""))
    stop()


def test_an_address_that_cannot_be_is_an_error_at_the_start(harbour: Any) -> None:
    settings = PostgresQueueSettings(url="postgresql://kim:secret@host/db?no=such", table=TABLE)
    with pytest.raises(InvalidInput, match=r"ingest\.postgres_queue_url") as error:
        PostgresQueue(settings, harbour.intake, harbour.spool)
    assert "secret" not in str(error.value)


def test_a_server_that_does_not_answer_is_named_without_the_password(
    harbour: Any, eventually: Any
) -> None:
    settings = PostgresQueueSettings(url="postgresql://kim:secret@127.0.0.1:1/db", table=TABLE)
    queue = PostgresQueue(settings, harbour.intake, harbour.spool)
    harbour.run(queue)
    said = eventually(lambda: "does not serve" in (queue.trouble() or "") and queue.trouble())
    assert "secret" not in said
