"""Contract of the unit of work: all or nothing, and what was read stays true."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, text

from burnish.adapters.sql.engine import DatabaseUnreachable, database_url, make_engine, reach
from burnish.adapters.sql.locks import LockOrderBroken
from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import InvalidInput
from support.concurrency import at_once
from support.databases import saved
from support.samples import job, policy, run

Units = Callable[..., SqlUnit]


class Mishap(Exception):
    """Happens in the middle of a block."""


def names(unit: Units) -> list[str]:
    with unit(reads_only=True) as stores:
        return [model.name for model in stores.models.list()]


def test_what_is_committed_is_there_for_all(unit: Units) -> None:
    with unit() as stores:
        stores.models.add(policy())
        stores.commit()
    assert names(unit) == ["laundry"]


def test_what_is_not_committed_never_was(unit: Units) -> None:
    with unit() as stores:
        stores.models.add(policy())
        stores.audit.record(SYSTEM, "model.added", "model:laundry")
        stores.outbox.publish("Added", "laundry", "laundry")
    assert names(unit) == []
    with unit() as stores:
        assert stores.audit_log.newest(limit=5) == stores.events.after(0, limit=5) == []


@pytest.mark.parametrize("early", [True, False])
def test_an_error_undoes_everything_even_after_the_commit_was_asked_for(
    unit: Units, *, early: bool
) -> None:
    def fail() -> None:
        with unit() as stores:
            stores.models.add(policy())
            if early:
                stores.commit()
            raise Mishap

    with pytest.raises(Mishap):
        fail()
    assert names(unit) == []


def test_a_unit_may_be_entered_again(unit: Units) -> None:
    again = unit()
    with again:
        again.models.add(policy())
        again.commit()
    with again:
        again.models.add(policy("other"))
    assert names(unit) == ["laundry"]


def test_a_view_sees_what_is_committed_at_each_look_and_leaves_nothing(unit: Units) -> None:
    with unit(reads_only=True) as view:
        assert view.models.find("laundry") is None
    with unit(reads_only=True) as view:
        view.models.add(policy())
    assert names(unit) == []


def test_a_view_neither_waits_for_a_writer_nor_sees_its_work(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())
    with saved(unit()) as stores:
        held = stores.models.get("laundry")
        stores.models.change(policy(trigger={"paused": True}), expected=1)
        with unit(reads_only=True) as view:
            assert view.models.get("laundry") == held


def test_what_a_unit_has_read_stays_true_until_it_ends(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())

    def count(number: int) -> None:
        with saved(unit()) as stores:
            model = stores.models.get("laundry")
            days = model.policy.trigger.min_days + 1
            stores.models.change(policy(trigger={"min_days": days}), expected=model.revision)

    _, errors = at_once(count)
    assert errors == []
    with unit() as stores:
        model = stores.models.get("laundry")
    assert (model.revision, model.policy.trigger.min_days) == (9, 7 + 8)


def test_locks_are_asked_for_in_one_order(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())
        stores.runs.add(run())
        training = stores.jobs.add(job())
    with unit() as stores:
        stores.runs.active("laundry")
        stores.jobs.get(training.id)
        stores.outbox.publish("Happened", "laundry", "x")
        stores.models.get("laundry")  # held already
        with pytest.raises(LockOrderBroken):
            stores.models.find("other")
    with unit(reads_only=True) as view:
        view.jobs.get(training.id)
        view.models.get("laundry")


@pytest.mark.parametrize("wrong", ["mysql://db/burnish", "postgresql+psycopg2://db/x", "nonsense"])
def test_the_url_of_another_database_is_refused_with_the_fix(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="postgresql://USER"):
        make_engine(wrong)


def test_a_refused_url_does_not_give_its_password_away() -> None:
    with pytest.raises(InvalidInput) as caught:
        make_engine("mysql://ann:hunter2@db/burnish")
    assert "hunter2" not in caught.value.detail + str(caught.value.facts)


@pytest.mark.parametrize("url", ["sqlite:///{}/no/such.db", "postgresql://ann:hunter2@/x?host={}"])
def test_a_database_that_is_not_there_is_named_without_its_password(
    url: str, tmp_path: Path
) -> None:
    engine = make_engine(url.format(tmp_path))
    with pytest.raises(DatabaseUnreachable, match=r"does not answer \(.+\): start it") as caught:
        reach(engine)
    assert str(tmp_path.name) in caught.value.detail
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_both_forms_of_a_postgresql_url_mean_the_same(scheme: str) -> None:
    url = database_url(f"{scheme}://ann:secret@db:5433/burnish?sslmode=require")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://ann:secret@db:5433/burnish?sslmode=require"
    )


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite keeps any text
@pytest.mark.parametrize(("name", "why"), [("a\0b", "NUL"), ("a" * 64, "too long")])
def test_a_text_that_postgresql_cannot_keep_is_its_senders_mistake(
    unit: Units, name: str, why: str
) -> None:
    with unit() as stores, pytest.raises(InvalidInput, match=why):
        stores.models.add(replace(policy(), name=name))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # the kernel frees file locks
def test_a_writer_at_rest_loses_its_locks_in_the_end(engine: Engine) -> None:
    for _ in range(2):  # the setting outlives the connection's return to the pool
        with engine.connect() as connection:
            shown = connection.execute(text("SHOW idle_in_transaction_session_timeout"))
            assert shown.scalar_one() == "1min"
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "30s"
