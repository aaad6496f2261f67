"""What does a dataset version cost: the first one, the next one, and the next one after many?

The first is measured beside a bare DuckDB query that does the same dedupe over the same files: one
per identity, the last verdict of each actor and subject, no contradictions, one per content. The
query keeps nothing; the build leaves a version behind. Neither looks for photos. The policy is the
default one: nobody makes more than a share of the corrections, which the query does not know.
"""

import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import duckdb
from kit.feedback_log import SHARD, FeedbackLog
from kit.rounds import QUICK_ROUNDS, arguments, interleaved, median, ratio, table, timed, verdict
from sqlalchemy import Connection

from burnish.adapters.daft_datasets import HERE, DaftReader
from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id, utc_now
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from burnish.kernel.audit import SYSTEM
from burnish.kernel.policy import ModelPolicy, policy_of
from burnish.models.service import apply_policy

FULL, STORED, ROUNDS = 1_000_000, (100_000, 1_000_000), 5
QUICK_FULL, QUICK_STORED = 100_000, (10_000, 100_000)
NEW_SHARE = 0.01
NEW = 10_000  # lines, on top of any number stored
STEP = 1_000_000  # lines of one build while a long history is made: some 2 GiB
LOUDEST = 0.5  # of the verdicts, where one person's share is capped

QUERY = """
WITH lines AS (
  SELECT "offset" AS place, received_at, source, id, from_json(body::JSON, '{
    "model": "VARCHAR", "subject_id": "VARCHAR", "final": "VARCHAR", "predicted": "VARCHAR",
    "corrected": "BOOLEAN", "actor": "VARCHAR", "occurred_at": "TIMESTAMPTZ",
    "payload": "VARCHAR"}') AS said
  FROM read_ndjson('FILES', compression = 'zstd', columns = {
    "offset": 'BIGINT', received_at: 'TIMESTAMPTZ', source: 'VARCHAR', id: 'VARCHAR',
    content_type: 'VARCHAR', body: 'VARCHAR'})
), records AS (
  SELECT arg_min(struct_pack(place := place, source := source, id := id, said := said),
                 (received_at, place)) AS it
  FROM lines GROUP BY source, id
), words AS (
  SELECT it.said.subject_id AS subject, it.said.actor AS actor,
         arg_max(it, (it.said.occurred_at, it.source, it.id)) AS it
  FROM records WHERE it.said.model = 'laundry' GROUP BY ALL
), subjects AS (
  SELECT subject, arg_max(it, (it.said.occurred_at, it.source, it.id)) AS it
  FROM words GROUP BY subject HAVING count(DISTINCT it.said.final) = 1
), contents AS (
  SELECT arg_min(it, subject) AS it
  FROM subjects GROUP BY it.said.payload HAVING count(DISTINCT it.said.final) = 1
)
SELECT count(*), count(DISTINCT it.place), min(it.said.subject_id), max(epoch(it.said.occurred_at))
FROM contents
"""


POLICY = policy_of(
    {"name": "laundry", "kind": "image-classification", "labels": ["good", "defect"]}
)


class _Nobody:
    """A messenger without anybody to tell: nothing runs here."""

    def begin(self, connection: Connection, half: str, run: str) -> None: ...

    def wake(self, connection: Connection, run: str, key: str) -> None: ...


class House:
    """A place where versions of a log are built, with nothing in it yet."""

    def __init__(self, folder: Path, log: FeedbackLog, policy: ModelPolicy) -> None:
        folder.mkdir(parents=True)
        self._policy = policy
        engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(engine)
        self._units = partial(SqlUnit, engine, clock=utc_now, ids=new_id, messenger=_Nobody())
        apply_policy(self._units(), policy, expected=None, actor=SYSTEM)
        self._service = DatasetService(
            raw_log=RawLogReader(log.objects, log.engine),
            reader=DaftReader(
                log.objects.folder,
                log.manifest,
                record_of,
                engine=HERE,
                processes=len(os.sched_getaffinity(0)),
            ),
            objects=LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now),
            units=self._units,
            clock=utc_now,
            missing=_none,
        )

    def build(self, end: int) -> int:
        """Build the version up to an offset; return how many examples it has."""
        counts = self._service.build(self._policy, {SHARD: end}).counts
        return sum(sum(labels.values()) for labels in counts.values())


def _none(_: Collection[str]) -> Collection[str]:
    return ()


def first_build(folder: Path, log: FeedbackLog, rounds: int) -> list[float]:
    """Print the first question's table; return what each full build took, in seconds."""
    numbers = count()
    rows: dict[str, int] = {}

    def build() -> float:
        house = House(folder / f"full-{next(numbers)}", log, POLICY)
        return timed(lambda: rows.update(burnish=house.build(log.end)))

    def query() -> float:
        sql = QUERY.replace("FILES", log.files)
        return timed(lambda: rows.update(duckdb=duckdb.sql(sql).fetchall()[0][0]))

    took = interleaved({"burnish": build, "duckdb": query}, rounds=rounds)
    assert rows["burnish"] == rows["duckdb"], rows
    table(
        f"The first version of {log.end:,} records, {rows['burnish']:,} of them examples",
        [
            ("", "seconds", "build ÷ query"),
            ("bare DuckDB query", f"{median(took['duckdb']):.2f}", ""),
            (
                "dataset build",
                f"{median(took['burnish']):.2f}",
                verdict(ratio(took["burnish"], took["duckdb"]), at_most=1.5),
            ),
        ],
    )
    return took["burnish"]


def next_build(folder: Path, logs: dict[str, FeedbackLog], full: list[float], rounds: int) -> None:
    """Print the second question's table."""
    houses, sizes = {}, {}
    for name, log in logs.items():
        houses[name], sizes[name] = House(folder / f"next-{name}", log, POLICY), log.end
        houses[name].build(log.end)

    def grow(name: str) -> float:
        logs[name].grow(int(sizes[name] * NEW_SHARE))
        return timed(lambda: houses[name].build(logs[name].end))

    took = interleaved({name: partial(grow, name) for name in logs}, rounds=rounds)
    table(
        f"The next version, with {NEW_SHARE:.0%} new records",
        [
            ("who speaks", "seconds", "next ÷ full"),
            ("(the full build)", f"{median(full):.2f}", ""),
            *(
                (
                    name,
                    f"{median(found):.3f} (worst {max(found):.3f})",
                    verdict(median(found) / median(full), at_most=0.05),
                )
                for name, found in took.items()
            ),
        ],
    )


def each_new(folder: Path, stored: Sequence[int], new: int, rounds: int) -> None:
    """Print the third question's table."""
    logs = {size: FeedbackLog(folder / f"stored-{size}") for size in stored}
    houses = {}
    for size, log in logs.items():
        houses[size] = House(folder / f"house-{size}", log, POLICY)
        took = timed(lambda log=log, size=size: _store(log, houses[size], size))
        print(f"{size:,} stored in {took:.1f} s", file=sys.stderr, flush=True)

    def grow(size: int) -> float:
        logs[size].grow(new)
        return timed(lambda: houses[size].build(logs[size].end))

    took = interleaved({str(size): partial(grow, size) for size in stored}, rounds=rounds)
    base = took[str(stored[0])]
    table(
        f"Each of {new:,} new records",
        [
            ("records stored", "µs a new record (least, most)", "÷ the fewest stored"),
            *(
                (
                    f"{size:,}",
                    " ".join(f"{of(took[str(size)]) / new * 1e6:.1f}" for of in (median, min, max)),
                    f"{ratio(took[str(size)], base):.2f}",
                )
                for size in stored
            ),
        ],
    )


def _store(log: FeedbackLog, house: House, size: int) -> None:
    """Build versions up to a size, step by step, so that no build holds more than a step."""
    while log.end < size:
        log.grow(min(STEP, size - log.end))
        house.build(log.end)


def main() -> None:
    asked = arguments(
        __doc__ or "",
        lambda parser: parser.add_argument(
            "--stored",
            type=int,
            nargs="+",
            help="ask only what a new record costs on top of so many (of 10,000,000: minutes)",
        ),
    )
    rounds = QUICK_ROUNDS if asked.quick else ROUNDS
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        if not asked.stored:
            logs = {"201 people": FeedbackLog(folder / "log")}
            logs["one of them half"] = FeedbackLog(folder / "loud", loudest=LOUDEST)
            for log in logs.values():
                log.grow(QUICK_FULL if asked.quick else FULL)
            full = first_build(folder, logs["201 people"], rounds)
            next_build(folder, logs, full, rounds)
        each_new(folder, asked.stored or (QUICK_STORED if asked.quick else STORED), NEW, rounds)


if __name__ == "__main__":
    main()
