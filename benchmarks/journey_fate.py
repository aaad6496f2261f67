"""How should a journey find what a dataset of a million records made of one of them?

Three ways, side by side: the fates as one file, as blocks behind a list of them, and as rows of a
table. Each round looks up the same places in turn; medians.
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from burnish.adapters.objects import LocalObjects
from burnish.adapters.system import utc_now
from burnish.datasets import manifest
from burnish.datasets.model import Dataset, Fate, Split
from burnish.kernel.digest import digest
from burnish.kernel.ids import DatasetId

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = 5
ADDRESS = digest(b"rows")


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fate(number: int) -> Fate:
    return Fate(
        shard="0",
        offset=number,
        source="laundry-app",
        id=f"0192f0c1-7000-7000-8000-{number:012}",
        subject=f"task-{number}",
        corrected=True,
        split=Split.TRAIN,
    )


class Ways:
    """The three, each with a way to write and a way to find."""

    def __init__(self, folder: Path) -> None:
        self.objects = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
        self.dataset = Dataset(
            id=DatasetId("laundry@1"),
            model="laundry",
            number=1,
            digest=ADDRESS,
            policy_digest=ADDRESS,
            parent=None,
            offsets={"0": RECORDS},
            counts={},
            corrections=0,
            left_out={},
            manifest=digest(b"manifest"),
            created_at=utc_now(),
        )
        self.database = sqlite3.connect(folder / "fates.db")
        self.database.execute("CREATE TABLE fates (dataset, shard, offset, split, reason)")
        self.database.execute("CREATE UNIQUE INDEX place ON fates (shard, offset, dataset)")

    def write_file(self, fates: list[Fate]) -> None:
        self.file = manifest.store_lines(self.objects, ADDRESS, "whole", fates)

    def find_in_file(self, offset: int) -> Fate:
        fates = manifest.load_lines(self.objects, self.file, Fate)
        return next(one for one in fates if one.offset == offset)

    def write_blocks(self, fates: list[Fate]) -> None:
        blocks = manifest.store_fates(self.objects, ADDRESS, fates)
        manifest.store_fate_index(self.objects, self.dataset, blocks)

    def find_in_blocks(self, offset: int) -> Fate | None:
        return manifest.find_fate(self.objects, self.dataset, "0", offset)

    def write_table(self, fates: list[Fate]) -> None:
        rows = (("laundry@1", one.shard, one.offset, one.split, None) for one in fates)
        with self.database:
            self.database.executemany("INSERT INTO fates VALUES (?, ?, ?, ?, ?)", rows)

    def find_in_table(self, offset: int) -> object:
        query = "SELECT * FROM fates WHERE shard = '0' AND offset = ?"
        return self.database.execute(query, (offset,)).fetchone()


def main(folder: Path) -> None:
    ways = Ways(folder)
    fates = [fate(number) for number in range(RECORDS)]
    write = {"file": ways.write_file, "blocks": ways.write_blocks, "table": ways.write_table}
    find = {"file": ways.find_in_file, "blocks": ways.find_in_blocks, "table": ways.find_in_table}
    written = {name: timed(partial(work, fates)) for name, work in write.items()}
    found: dict[str, list[float]] = {name: [] for name in find}
    draw = Random(7)  # noqa: S311  the same places every time
    for _ in range(ROUNDS):
        place = draw.randrange(RECORDS)
        for name, look in find.items():
            found[name].append(timed(partial(look, place)))
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    print(f"{RECORDS} records, {ROUNDS} rounds")
    for name, seconds in medians.items():
        print(
            f"{name:<7} written in {written[name]:6.2f} s   found in {seconds * 1000:8.2f} ms   "
            f"file ÷ {name} {medians['file'] / seconds:8.1f}"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
