"""How long after a record is persisted is a decision stored that counts it?

A worker's follower, at the default pace, on a fresh data directory. Records are persisted one by
one, at random moments; the time runs from the manifest's commit to the decision's. Repeated with
more and more records since the last training, and with more and more that came before it.
"""

import statistics
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import select

from burnish import config
from burnish.adapters.raw_log import encode, object_key
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import decisions
from burnish.adapters.system import utc_now
from burnish.bootstrap.following import Follower
from burnish.bootstrap.house import House
from burnish.feedback.model import RawObject, RawRecord
from burnish.feedback.parse import PLAIN
from burnish.kernel.audit import SYSTEM
from burnish.kernel.digest import digest
from burnish.kernel.policy import parse_policy
from burnish.models.service import apply_policy
from burnish.triggers.model import Ask
from burnish.triggers.service import consider

LOOKS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
SIZES = ((0, 0), (0, 1_000), (0, 10_000), (100_000, 100), (100_000, 10_000))  # before, since
POLICY = """
name = "laundry"
kind = "image-classification"
labels = ["good", "defect"]
trigger = { min_corrections = 1000000, urgent_corrections = 1000000 }
"""
BODY = (
    '{{"source": "app", "id": "{n}", "model": "laundry", "subject_id": "s{n}", "final": "good",'
    ' "predicted": "defect", "corrected": true, "schema_version": 1, "actor": "person-{p}",'
    ' "occurred_at": "2026-05-01T12:00:00Z", "payload": "burnish:{digest}"}}'
)


class Bench:
    """A data directory with so many records before the last training and since."""

    def __init__(self, folder: Path, before: int, since: int) -> None:
        self.house = House.open(
            config.load(folder, environ={"BURNISH_LOG__LEVEL": "error"}), "worker"
        )
        self.policy = parse_policy(POLICY)
        apply_policy(self.house.unit(), self.policy, expected=None, actor=SYSTEM)
        self.follower = Follower(self.house)
        self.offset = 0
        self.persist(before)
        self.follower.project()
        now = utc_now()
        ask = Ask(actor="bench", reason="the last training", at=now)
        consider(self.house.unit, self.house.view, self.policy, now=now, ask=ask)
        self.persist(since)
        self.follower.look()

    def persist(self, records: int) -> None:
        if not records:
            return
        now = utc_now()
        lines = [
            RawRecord(
                offset=n,
                received_at=now + timedelta(microseconds=n),
                source="app",
                id=str(n),
                content_type=PLAIN,
                body=BODY.format(n=n, p=n % 50, digest=digest(b"%d" % n)),
            )
            for n in range(self.offset, self.offset + records)
        ]
        data = encode(lines)
        key = object_key("0", self.offset, lines[-1].offset, now)
        self.house.objects.put(key, data)
        SqlManifest(self.house.engine).commit(
            RawObject(
                shard="0",
                first_offset=self.offset,
                last_offset=lines[-1].offset,
                key=key,
                sha256=digest(data),
                records=records,
                bytes=len(data),
            )
        )
        self.offset += records

    def counted(self) -> int:
        newest = select(decisions.c.offsets).order_by(decisions.c.id.desc()).limit(1)
        with self.house.engine.connect() as connection:
            offsets = connection.execute(newest).scalar_one_or_none() or {}
        return int(offsets.get("0", 0))


def delays(bench: Bench, random: Random) -> list[float]:
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            bench.follower.look()
            stop.wait(bench.house.settings.worker.poll_seconds)

    thread = threading.Thread(target=follow)
    thread.start()
    found = []
    for _ in range(LOOKS):
        time.sleep(random.uniform(0.1, 1.1))
        bench.persist(1)
        began = time.perf_counter()
        while bench.counted() < bench.offset:
            time.sleep(0.005)
        found.append(time.perf_counter() - began)
    stop.set()
    thread.join()
    return found


def main() -> None:
    random = Random(1)  # noqa: S311  when people speak, repeatably
    print("records before | since the last training | p50 s | p95 s | longest s")
    for before, since in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), before, since)
            found = sorted(delays(bench, random))
            bench.house.close()
        p50, p95 = statistics.median(found), found[int(0.95 * (len(found) - 1))]
        print(f"{before:>14} | {since:>23} | {p50:5.2f} | {p95:5.2f} | {found[-1]:5.2f}")


if __name__ == "__main__":
    main()
