"""Somebody else's database with a table of inspections, on each kind that can be a source."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from burnish.adapters.sources.collector import SourceCollector
from burnish.adapters.sources.places import Places
from burnish.adapters.sql.sources import SqlSources
from burnish.feedback.model import RawRecord
from burnish.kernel.digest import digest
from burnish.kernel.policy import ModelPolicy, policy_of
from support.postgres import Postgres
from support.world import World

QUERY = """
SELECT id, changed, photo AS subject_id, model_said AS predicted, label AS final,
       manager AS actor, changed AS occurred_at, input AS payload
FROM inspections WHERE label IS NOT NULL -- what nobody has judged is no feedback, 100 % of it
"""


class Shop:
    """The database of an application, written by its owner."""

    def __init__(self, url: str) -> None:
        self.url = url
        moment = "TEXT" if url.startswith("sqlite") else "TIMESTAMPTZ"
        self.execute(
            "CREATE TABLE inspections (id INTEGER PRIMARY KEY, changed "
            f"{moment} NOT NULL, photo TEXT, model_said TEXT, label TEXT, manager TEXT, input TEXT)"
        )

    def execute(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        if self.url.startswith("sqlite"):
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
                connection.executemany(statement, rows) if rows else connection.execute(statement)
            connection.close()
        else:
            with psycopg.connect(self.url) as server, server.cursor() as cursor:
                statement = statement.replace("?", "%s")
                cursor.executemany(statement, rows) if rows else cursor.execute(statement)

    def judge(self, first: int, last: int, label: str = "defect", *, minute: int = 0) -> None:
        """Add rows, several of them at one moment."""
        rows = [
            (n, f"2026-04-01 10:{minute + n // 7 % 50:02}:00+00:00", f"photo-{n}", "good", label,
             "kim", f"burnish:{digest(str(n).encode())}")
            for n in range(first, last + 1)
        ]  # fmt: skip
        self.execute("INSERT INTO inspections VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "sqlite":
        yield Shop(f"sqlite:///{tmp_path / 'shop.db'}")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield Shop(server.url(name))
    server.drop(name)


def policy(**changes: Any) -> ModelPolicy:
    source = {
        "database": "shop",
        "query": QUERY,
        "watermark": "changed",
        "key": "id",
        "row_limit": 10,
    }
    return policy_of(
        {
            "name": "laundry",
            "kind": "image-classification",
            "labels": ["good", "defect"],
            "sources": {"tasks": source | changes},
        }
    )


@pytest.fixture
def collector(world: World, shop: Shop, tmp_path: Path) -> SourceCollector:
    return collector_of(world, {"BURNISH_SOURCE_SHOP": shop.url}, tmp_path / "sources.toml")


def collector_of(world: World, environ: dict[str, str], file: Path) -> SourceCollector:
    return SourceCollector(
        objects=world.objects,
        sources=SqlSources(world.engine),
        places=Places(file, environ),
        clock=world.clock,
        pause=lambda _: None,
    )


@pytest.fixture
def lines(world: World) -> Callable[[], list[RawRecord]]:
    """Everything in the source's shard of the raw log."""

    def read() -> list[RawRecord]:
        shard = "sql.laundry.tasks"
        return list(world.raw_log.read(shard, 0, world.raw_log.end().get(shard, 0)))

    return read
