"""Contracts of `kernel.audit.Audit`, `kernel.events.Outbox` and `EventLog`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from sqlalchemy import Engine, update

from burnish.adapters.sql.schema import audit
from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.audit import Actor
from support.concurrency import PATIENCE_S, at_once
from support.databases import NOON, saved

Units = Callable[..., SqlUnit]
KIM = Actor(name="kim", trace_id="0af7651916cd43dd8448eb211c80319c")


def record(unit: Units, action: str) -> None:
    with saved(unit()) as stores:
        stores.audit.record(KIM, action, "release:1", before={"a": None}, after={"ä": 1.5})


def publish(unit: Units, *subjects: str) -> None:
    with saved(unit()) as stores:
        for subject in subjects:
            stores.outbox.publish("Happened", "laundry", subject, {"n": [1, None]})


def seen(unit: Units, after: int = 0, limit: int = 100) -> list[str]:
    with unit(reads_only=True) as stores:
        return [event.subject for event in stores.events.after(after, limit=limit)]


def test_an_audit_row_is_found_as_it_was_recorded(unit: Units) -> None:
    record(unit, "first")
    record(unit, "second")
    with unit(reads_only=True) as stores:
        newest, oldest = stores.audit_log.newest(limit=5)
        assert stores.audit_log.newest(limit=1) == [newest]
        assert stores.audit_log.broken_at() is None
    assert (oldest.action, newest.action) == ("first", "second")
    assert (newest.actor, newest.trace_id, newest.subject) == (KIM.name, KIM.trace_id, "release:1")
    assert (newest.before, newest.after, newest.at) == ({"a": None}, {"ä": 1.5}, NOON)
    assert newest.hash == newest.chained(oldest.hash) != oldest.hash


def test_a_row_that_was_changed_breaks_the_chain_at_its_place(unit: Units, engine: Engine) -> None:
    for action in ("first", "second", "third"):
        record(unit, action)
    with unit() as stores:
        second = stores.audit_log.newest(limit=2)[1]
    with engine.begin() as connection:
        connection.execute(update(audit).where(audit.c.id == second.id).values(actor="eve"))
    with unit() as stores:
        assert stores.audit_log.broken_at() == second.id


def test_rows_appended_at_once_are_one_unbroken_chain(unit: Units) -> None:
    def append(number: int) -> None:
        for round_ in range(4):
            record(unit, f"{number}.{round_}")

    _, errors = at_once(append)
    assert errors == []
    with unit() as stores:
        assert stores.audit_log.broken_at() is None
        entries = stores.audit_log.newest(limit=100)
    assert len({entry.action for entry in entries}) == len(entries) == 32


def test_an_event_is_found_as_it_was_published(unit: Units) -> None:
    with unit(reads_only=True) as stores:
        before = stores.events.last_id()
    publish(unit, "a", "b", "c")
    with unit(reads_only=True) as stores:
        [a, b, c] = stores.events.after(before, limit=10)
        assert stores.events.last_id() == c.id
    assert (a.type, a.model, a.subject, a.data) == ("Happened", "laundry", "a", {"n": [1, None]})
    assert a.at == NOON
    assert a.id < b.id < c.id
    assert seen(unit, after=a.id) == ["b", "c"]
    assert seen(unit, limit=2) == ["a", "b"]


def test_an_event_is_never_seen_before_one_with_a_smaller_id(unit: Units) -> None:
    published, reading_is_done = Event(), Event()

    def commit_late() -> None:
        with saved(unit()) as stores:
            stores.outbox.publish("Happened", "laundry", "early id, late commit")
            published.set()
            reading_is_done.wait(PATIENCE_S)

    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(commit_late)
        published.wait(PATIENCE_S)
        # Would be seen at once, with the greater id, if it did not wait for the first to commit.
        second = pool.submit(publish, unit, "second")
        while not (second.done() or _is_waiting(unit)):
            pass
        assert seen(unit) == []
        assert not second.done()
        reading_is_done.set()
        late.result(PATIENCE_S)
        second.result(PATIENCE_S)
    assert seen(unit) == ["early id, late commit", "second"]


def test_a_reader_who_follows_by_id_misses_nothing(unit: Units) -> None:
    done = Event()

    def follow() -> list[str]:
        followed: list[str] = []
        after = 0
        while True:
            finished = done.is_set()  # asked before the look: what came in between is still read
            with unit(reads_only=True) as stores:
                events = stores.events.after(after, limit=7)
            followed += [event.subject for event in events]
            after = events[-1].id if events else after
            if finished and not events:
                return followed

    def write(number: int) -> None:
        for round_ in range(10):
            publish(unit, f"{number}.{round_}", f"{number}.{round_}+")

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(follow)
        _, errors = at_once(write)
        done.set()
        followed = reader.result(PATIENCE_S)
    assert errors == []
    assert len(followed) == len(set(followed)) == 160


def _is_waiting(unit: Units) -> bool:
    """Tell whether somebody waits for a lock; SQLite does not say, but there is nothing else."""
    with unit(reads_only=True) as stores:
        if stores.connection.dialect.name == "sqlite":
            return True
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(stores.connection.exec_driver_sql(waiting).scalar_one())
