"""Rows of somebody's database become lines of the raw log: all of them, once, in order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from burnish.adapters.sources.collector import Collected, SourceCollector
from burnish.adapters.sources.databases import opened
from burnish.adapters.sources.places import SourceFailed, SourceMisfit
from burnish.adapters.sql.schema import quarantine, raw_objects
from burnish.feedback.model import RawRecord
from burnish.feedback.parse import record_of
from support.databases import saved
from support.postgres import Postgres
from support.world import World

from .conftest import QUERY, Shop, collector_of, policy

Lines = Callable[[], list[RawRecord]]


def test_pages_are_read_until_caught_up_and_only_news_later(
    shop: Shop, collector: SourceCollector, lines: Lines, world: World
) -> None:
    shop.judge(1, 35)
    assert collector.collect(policy()) == {"tasks": Collected(records=35)}
    assert [one.offset for one in lines()] == list(range(35))
    with world.engine.connect() as connection:
        sizes = [row.records for row in connection.execute(select(raw_objects.c.records))]
    assert sizes == [10, 10, 10, 5]
    assert collector.collect(policy()) == {"tasks": Collected()}
    shop.judge(36, 38)
    assert collector.collect(policy()) == {"tasks": Collected(records=3)}
    assert [record_of(one).subject_id for one in lines()] == [f"photo-{n}" for n in range(1, 39)]


def test_a_row_is_a_whole_record(shop: Shop, collector: SourceCollector, lines: Lines) -> None:
    shop.judge(1, 1)
    collector.collect(policy())
    record = record_of(lines()[0])
    assert record.source == "sql:laundry.tasks"
    assert record.id.startswith("1@2026-04-01 10:00:00+00")
    assert (record.model, record.predicted, record.final) == ("laundry", "good", "defect")
    assert record.corrected
    assert record.occurred_at.isoformat() == "2026-04-01T10:00:00+00:00"


def test_a_row_that_changed_is_another_word_on_its_subject(
    shop: Shop, collector: SourceCollector, world: World
) -> None:
    shop.judge(1, 3)
    collector.collect(policy())
    shop.execute("UPDATE inspections SET label='good', changed='2026-04-01 12:00:00+00' WHERE id=2")
    assert collector.collect(policy()) == {"tasks": Collected(records=1)}
    world.project()
    with world.view() as view:
        said = [one for one in view.feedback.newest(model="laundry", limit=9)
                if one.subject_id == "photo-2"]  # fmt: skip
    assert sorted((one.final, one.corrected) for one in said) == [("defect", True), ("good", False)]


def test_what_no_front_would_take_is_in_quarantine_once(
    shop: Shop, collector: SourceCollector, lines: Lines, world: World
) -> None:
    shop.judge(1, 2)
    shop.judge(3, 4, label="torn")
    shop.execute("UPDATE inspections SET input = 'http://169.254.169.254/' WHERE id = 1")
    shop.execute("UPDATE inspections SET photo = NULL WHERE id = 2")
    assert collector.collect(policy()) == {"tasks": Collected(refused=4)}
    assert lines() == []
    shop.judge(5, 5, minute=1)
    collector.collect(policy())
    assert [one.offset for one in lines()] == [0]
    with world.engine.connect() as connection:
        codes = sorted(row.code for row in connection.execute(select(quarantine)))
    assert codes == [
        "malformed_feedback_event",
        "payload_not_allowed",
        "unknown_label",
        "unknown_label",
    ]


def test_two_workers_at_once_take_each_row_once(shop: Shop, world: World, lines: Lines) -> None:
    shop.judge(1, 95)
    environ = {"BURNISH_SOURCE_SHOP": shop.url}
    workers = [collector_of(world, environ, Path("none")) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda one: one.collect(policy())["tasks"].records, workers))
    assert sum(found) == 95
    assert sorted(record_of(one).subject_id for one in lines()) == sorted(
        f"photo-{n}" for n in range(1, 96)
    )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 FROM (DELETE FROM inspections RETURNING 1)",
        "DELETE FROM inspections RETURNING id, changed",
        "SELECT * FROM inspections) AS q; DELETE FROM inspections; SELECT (1",
    ],
)
def test_the_database_refuses_what_writes(
    shop: Shop, collector: SourceCollector, query: str
) -> None:
    shop.judge(1, 3)
    with pytest.raises(SourceMisfit, match="Source 'tasks' of laundry"):
        collector.collect(policy(query=query))
    assert collector.collect(policy())["tasks"].records == 3


def test_postgresql_itself_refuses_a_write_hidden_in_a_function(
    postgres: Postgres, world: World, tmp_path: Path
) -> None:
    name = postgres.create()
    shop = Shop(postgres.url(name))
    shop.judge(1, 3)
    shop.execute(
        "CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS 'DELETE FROM inspections; SELECT 1'"
    )
    shop.execute(
        "CREATE FUNCTION off() RETURNS text LANGUAGE sql AS "
        "$$SELECT set_config('transaction_read_only', 'off', false)$$"
    )
    reader = collector_of(world, {"BURNISH_SOURCE_SHOP": shop.url}, tmp_path / "none")
    for trick in ("sly() AS s", "off() AS o, sly() AS s"):
        with pytest.raises(SourceMisfit, match=r"read-only|read-write"):
            reader.collect(policy(query=QUERY.replace("SELECT id", f"SELECT {trick}, id")))
    assert reader.collect(policy())["tasks"].records == 3
    postgres.drop(name)


def test_sqlite_itself_refuses_a_write_on_the_connection(tmp_path: Path) -> None:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.db'}")
    with opened(shop.url) as database:
        connection: Any = database._connection  # type: ignore[attr-defined] # noqa: SLF001
        for statement in ("DELETE FROM inspections", "CREATE TABLE t (x)"):
            with pytest.raises(Exception, match="readonly"):
                connection.execute(statement)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"watermark": "nowhere"}, "nowhere"),
        ({"query": QUERY.replace("AS actor", "AS who")}, "selects no column actor"),
        ({"query": "SELECT something"}, "something"),
        ({"key": "actor"}, "name a key that tells them apart"),
    ],
)
def test_a_query_that_cannot_be_is_named_with_what_to_do(
    shop: Shop, collector: SourceCollector, changes: dict[str, str], said: str
) -> None:
    shop.judge(1, 3)
    with pytest.raises(SourceMisfit, match=said) as raised:
        collector.collect(policy(**changes))
    assert "Mend it and retry the run" in raised.value.detail


def test_a_source_that_is_down_is_named_and_the_others_are_read(
    shop: Shop, world: World, lines: Lines, tmp_path: Path
) -> None:
    shop.judge(1, 12)
    gone = tmp_path / "gone.db"
    reader = collector_of(
        world,
        {"BURNISH_SOURCE_SHOP": shop.url, "BURNISH_SOURCE_ARCHIVE": f"sqlite:///{gone}"},
        tmp_path / "none",
    )
    both = policy()
    both.sources["archive"] = policy(database="archive").sources["tasks"]
    with pytest.raises(SourceFailed, match=r"Source 'archive' of laundry.*gone\.db"):
        reader.collect(both)
    assert len(lines()) == 12


def test_a_server_that_dies_half_way_is_read_on_when_it_is_back(
    own_postgres: Postgres, world: World, lines: Lines, tmp_path: Path
) -> None:
    shop = Shop(own_postgres.url(own_postgres.create()))
    shop.judge(1, 40)
    shop.execute("CHECKPOINT")  # the server of the tests syncs nothing by itself
    reader = collector_of(world, {"BURNISH_SOURCE_SHOP": shop.url}, tmp_path / "none")
    put, left = world.objects.put, [2]

    def dying(key: str, data: bytes) -> None:
        put(key, data)
        left[0] -= 1
        if left[0] == 0:
            own_postgres.kill()

    world.objects.put = dying  # type: ignore[method-assign]
    with pytest.raises(SourceFailed, match="Source 'tasks' of laundry"):
        reader.collect(policy())
    world.objects.put = put  # type: ignore[method-assign]
    assert len(lines()) == 20
    own_postgres.start()
    assert reader.collect(policy())["tasks"].records == 20
    assert [one.offset for one in lines()] == list(range(40))


def test_a_password_appears_in_no_error_and_no_log(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for url in (
        "postgresql://ann:hush-hush@127.0.0.1:1/shop",
        "postgresql://ann:hush-hush@h:h:h/shop?password=hush-hush",
        "postgresql://ann:hush%2Dhush@127.0.0.1:1/shop?wrong=hush-hush",
        "mysql://ann:hush-hush@db/shop",
    ):
        reader = collector_of(world, {"BURNISH_SOURCE_SHOP": url}, tmp_path / "none")
        with pytest.raises((SourceFailed, SourceMisfit)) as raised:
            reader.collect(policy())
        assert "hush" not in str(raised.value) + str(raised.value.facts)
    assert "hush" not in "".join(capfd.readouterr())


def test_databases_may_be_named_in_a_file(shop: Shop, world: World, tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(f'shop = "{shop.url}"\n')
    shop.judge(1, 2)
    assert collector_of(world, {}, file).collect(policy())["tasks"].records == 2
    file.write_text('shop = "postgresql://ann:hush-hush@db/shop')
    with pytest.raises(SourceMisfit, match="make it TOML") as raised:
        collector_of(world, {}, file).collect(policy())
    assert "hush" not in str(raised.value)
    with pytest.raises(SourceMisfit, match="set BURNISH_SOURCE_SHOP"):
        collector_of(world, {}, tmp_path / "none").collect(policy())


def test_a_dataset_is_built_again_after_the_source_is_gone(
    shop: Shop, collector: SourceCollector, world: World
) -> None:
    shop.judge(1, 30)
    shop.judge(31, 60, label="good", minute=5)
    for n in range(1, 61):
        world.photo(str(n))
    collector.collect(policy())
    shop.execute("DROP TABLE inspections")
    applied = world.apply(policy())
    first = world.service.build(applied, world.raw_log.end())
    with saved(world.unit()) as unit:
        assert unit.datasets.newest("laundry") == first
    assert sum(sum(labels.values()) for labels in first.counts.values()) == 60
    assert {fate.shard for fate in world.service.fates(first)} == {"sql.laundry.tasks"}
