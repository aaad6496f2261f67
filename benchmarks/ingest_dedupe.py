"""Does dedupe stay flat? Cost per record and memory per identity, with 1e5 and 1e7 stored."""

import ctypes
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    arguments,
    interleaved,
    median,
    ratio,
    rest,
    table,
    verdict,
)

from burnish.adapters.spool.compaction import Store
from burnish.adapters.spool.frames import Identity, body_hash, identity_of
from burnish.adapters.spool.identities import HOT, Identities
from burnish.adapters.spool.ledger import Known

GROUP = 64  # records of one commit: as many as clients of the other benchmarks have in flight
PER_ROUND = 100  # groups
BODY = body_hash(b"{}")
SOURCE = b"https://shop.example/branch/7"


def identity(number: int) -> Identity:
    """Return one with a name as long as real ones are."""
    return identity_of(SOURCE, b"0199a5c2-7b41-7c3e-9d2a-%012x" % number)


def fill(folder: Path, count: int) -> None:
    """Store identities as a long life would have left them: flushed in turn, merged when due."""
    store = Store(folder)
    for first in range(0, count, HOT):
        end = min(first + HOT, count)
        names = (identity(number) for number in range(first, end))
        known = {one.name: Known(one.hash, first + at, BODY) for at, one in enumerate(names)}
        store.flush(known, end=end)
        while store.is_merge_due:
            for _ in store.merge():
                pass
    store.close()


class Side:
    """One store, as the committer uses it."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.failures: list[BaseException] = []
        self.identities = Identities(folder, failed=self.failures.append)
        self.identities.start()
        self.new = itertools.count(self.identities.end)

    def fresh(self) -> float:
        """Return seconds per record for records that nobody has sent before."""
        groups = [[identity(next(self.new)) for _ in range(GROUP)] for _ in range(PER_ROUND)]
        started = time.perf_counter()
        for group in groups:
            found = self.identities.find(group)
            assert not any(found)
            end = self.identities.end
            fresh = {one.name: Known(one.hash, end + at, BODY) for at, one in enumerate(group)}
            self.identities.add(fresh, end=end + GROUP)
        return (time.perf_counter() - started) / (PER_ROUND * GROUP)

    def copies(self) -> float:
        """Return seconds per record for records that all came before, from all over the log."""
        step = max(1, self.count // (PER_ROUND * GROUP + 1))
        start = next(self.new) % step
        groups = [
            [identity(start + (at * GROUP + one) * step) for one in range(GROUP)]
            for at in range(PER_ROUND)
        ]
        started = time.perf_counter()
        for group in groups:
            assert all(self.identities.find(group))
        return (time.perf_counter() - started) / (PER_ROUND * GROUP)


def memory(folder: Path, count: int) -> None:
    """Print what a process that holds `count` identities takes; to be run in one of its own."""
    before = resident()
    started = time.perf_counter()
    side = Side(folder, count)
    opened = time.perf_counter() - started
    for _ in range((HOT - 1) // (GROUP * PER_ROUND)):  # the memory of new ones, nearly full
        side.fresh()
    side.copies()
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    after = resident()
    print(json.dumps({"opened": opened, "resident": after - before}))
    side.identities.close()


def resident() -> int:
    """Return bytes of memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    options = arguments(__doc__ or "")
    few, many = (10_000, 300_000) if options.quick else (100_000, 10_000_000)
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="burnish-bench-") as name:
        small, large = Path(name) / "few", Path(name) / "many"
        for folder, count in ((small, few), (large, many)):
            started = time.perf_counter()
            fill(folder, count)
            print(f"stored {count:,} in {time.perf_counter() - started:.0f} s", flush=True)
        command = [sys.executable, __file__, "memory", str(large), str(many)]
        used = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        rest(time.process_time)
        sides = Side(small, few), Side(large, many)
        runs = [len(list(folder.glob("*.run"))) for folder in (small, large)]
        for side in sides:  # pages of both are warm, as those of a running process are
            side.copies()
        found = interleaved(
            {
                "new few": sides[0].fresh,
                "new many": sides[1].fresh,
                "copy few": sides[0].copies,
                "copy many": sides[1].copies,
            },
            rounds=rounds,
        )
        for side in sides:
            side.identities.close()
            assert not side.failures
    rows = [["cost per record, µs", f"{few:,} stored", f"{many:,} stored", "ratio"]]
    for kind in ("new", "copy"):
        one, other = found[f"{kind} few"], found[f"{kind} many"]
        judged = verdict(ratio(other, one), at_most=3)
        rows.append([kind, f"{median(one) * 1e6:.2f}", f"{median(other) * 1e6:.2f}", judged])
    rows.append(["runs", *map(str, runs), ""])
    table(f"Dedupe in groups of {GROUP}, {rounds} rounds, medians", rows)
    table(
        f"Memory with {many:,} identities, and {HOT:,} hot ones",
        [
            ["", "bytes per identity"],
            ["resident", verdict(used["resident"] / many, at_most=16)],
            ["seconds to open", f"{used['opened']:.3f}"],
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        memory(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
