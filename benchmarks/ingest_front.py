"""What does durability cost? The feedback front with its spool, and with a log in memory.

That log answers as the spool does, also to copies and conflicts. What the front alone costs, with a
log that takes everything for new, is shown beside.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

from kit.front import Front
from kit.load import elsewhere
from kit.rounds import QUICK_ROUNDS, ROUNDS, arguments, interleaved, median, ratio, table, verdict

KINDS = ("durable", "forgetful", "bare")
CLIENTS = 64
BATCH = 1000
BATCH_CLIENTS = 4  # bodies of half a megabyte: more in flight only wait
SYNCS = 300
FRAME = b"x" * 560  # bytes that one record takes in the spool


def main() -> None:
    options = arguments(__doc__ or "")
    rounds, seconds = (QUICK_ROUNDS, 1.0) if options.quick else (ROUNDS, 4.0)
    names = (f"{number:06d}" for number in itertools.count())
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="burnish-bench-") as name:
        folder = Path(name)
        fronts = {kind: Front(folder / kind, kind) for kind in KINDS}

        spent: dict[str, list[float]] = defaultdict(list)  # processor seconds per record

        def rate(kind: str, batch: int, clients: int) -> float:
            front = fronts[kind]
            before = front.cpu_s()
            records, took = elsewhere(
                what="rate",
                port=front.port,
                run=next(names),
                batch=batch,
                clients=clients,
                seconds=seconds,
                ready=int((70_000 if batch == 1 else 200) * seconds),
            )
            spent[f"{kind} {batch}"].append((front.cpu_s() - before) / records)
            return float(records / took)

        def idle() -> float:
            fronts["durable"].rest()
            return elsewhere(what="idle", port=fronts["durable"].port, run=next(names), count=300)

        try:
            found = interleaved(
                {
                    f"{kind} {batch}": partial(rate, kind, batch, clients)
                    for batch, clients in ((1, CLIENTS), (BATCH, BATCH_CLIENTS))
                    for kind in KINDS
                }
                | {
                    "idle": idle,
                    "sync": lambda: sync(folder),
                    "sync in place": lambda: sync(folder, room=len(FRAME) * SYNCS),
                },
                rounds=rounds,
            )
        finally:
            for front in fronts.values():
                front.close()
    heads = ("durable", "in memory", "ratio", "front alone", "ratio")
    rows, cpu = [["records per second", *heads]], [["processor µs per record", *heads]]
    for batch, text, least in (
        (1, f"single, {CLIENTS} in flight", 0.45),
        (BATCH, f"NDJSON x {BATCH}, {BATCH_CLIENTS} in flight", 0.4),
    ):
        for lines, values, scale, target in ((rows, found, 1, least), (cpu, spent, 1e6, None)):
            one, other, bare = (values[f"{kind} {batch}"] for kind in KINDS)
            lines.append(
                [
                    text,
                    f"{median(one) * scale:,.0f}",
                    f"{median(other) * scale:,.0f}",
                    verdict(ratio(one, other), at_least=target),
                    f"{median(bare) * scale:,.0f}",
                    verdict(ratio(one, bare)),
                ]
            )
    table(f"{rounds} rounds of {seconds:g} s, medians", rows)
    table("The same, in processor time: what other work on the machine does not change", cpu)
    table(
        "One record at a time, medians",
        [
            ["", "µs"],
            ["acknowledged after", f"{median(found['idle']) * 1e6:.0f}"],
            ["fdatasync alone, of a file that grows", f"{median(found['sync']) * 1e6:.0f}"],
            ["ratio", verdict(ratio(found["idle"], found["sync"]), at_most=3)],
            ["fdatasync alone, within a file", f"{median(found['sync in place']) * 1e6:.0f}"],
            ["ratio", verdict(ratio(found["idle"], found["sync in place"]))],
        ],
    )


def sync(folder: Path, *, room: int = 0) -> float:
    """Return the median seconds of a raw fdatasync after a write, in a file that has `room`."""
    path, mode = folder / ("raw" if room == 0 else "roomy"), os.O_APPEND if room == 0 else 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | mode)
    if room:
        os.ftruncate(handle, 0)
        os.posix_fallocate(handle, 0, room)
        os.fsync(handle)
    took = []
    for _ in range(SYNCS):
        os.write(handle, FRAME)
        started = time.perf_counter()
        os.fdatasync(handle)
        took.append(time.perf_counter() - started)
    os.close(handle)
    return statistics.median(took)


if __name__ == "__main__":
    main()
