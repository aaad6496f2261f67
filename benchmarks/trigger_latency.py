"""How long after a record is persisted is a decision stored that counts it?

What a worker does about feedback, at the default pace, on a fresh data directory. Each record names
a photo of 1280 x 960 of its own, in our own store, that nobody has looked at yet. They are
persisted one by one, at random moments; the time runs from the manifest's commit to that of the
decision with one more correction. Repeated with more and more records since the last training, and
with more and more that came before it; and where photos are compared by what they show.
"""

import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
from kit.photos import drawn
from sqlalchemy import insert, select

from burnish import config
from burnish.adapters.raw_object import encode, object_key
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import decisions
from burnish.adapters.sql.schema_inputs import payload_contents
from burnish.adapters.system import utc_now
from burnish.bootstrap.attention import Attention
from burnish.bootstrap.following import Follower
from burnish.bootstrap.house import House
from burnish.feedback.model import RawObject, RawRecord
from burnish.feedback.parse import PLAIN
from burnish.kernel.audit import SYSTEM
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import parse_policy
from burnish.models.service import apply_policy
from burnish.triggers.model import Ask
from burnish.triggers.service import consider

LOOKS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
SIZES = (  # before the last training, since, and which photos are one
    (0, 0, "content"),
    (0, 1_000, "content"),
    (0, 10_000, "content"),
    (100_000, 100, "content"),
    (100_000, 10_000, "content"),
    (0, 1_000, "perceptual"),
)
POLICY = """
name = "laundry"
kind = "image-classification"
labels = ["good", "defect"]
trigger = {{ min_corrections = 1000000, urgent_corrections = 1000000 }}
dataset = {{ near_duplicate = "{how}" }}
"""
BODY = (
    '{{"source": "app", "id": "{n}", "model": "laundry", "subject_id": "s{n}", "final": "good",'
    ' "predicted": "defect", "corrected": true, "schema_version": 1, "actor": "person-{p}",'
    ' "occurred_at": "2026-05-01T12:00:00Z", "payload": "burnish:{digest}"}}'
)


class Bench:
    """A data directory with so many records before the last training and since."""

    def __init__(self, folder: Path, before: int, since: int, how: str) -> None:
        self.house = House.open(
            config.load(folder, environ={"BURNISH_LOG__LEVEL": "error"}), "worker"
        )
        self.policy = parse_policy(POLICY.format(how=how))
        apply_policy(self.house.unit(), self.policy, expected=None, actor=SYSTEM)
        follower = Follower(self.house)
        self.offset = 0
        self.persist(self.seen(before))
        follower.project()
        now = utc_now()
        ask = Ask(actor="bench", reason="the last training", at=now)
        consider(self.house.unit, self.house.view, self.policy, now=now, ask=ask)
        self.persist(self.seen(since))
        follower.look()

    def seen(self, count: int) -> list[str]:
        """Note photos as looked at, all different; return their digests."""
        names = [digest(b"%d" % n) for n in range(self.offset, self.offset + count)]
        hashes = np.random.default_rng(self.offset).bytes(72 * count)
        rows = [
            {
                "sha256": one,
                "pixels": one,
                "by_pixels": one,
                "by_picture": one,
                "fingerprint": hashes[72 * at : 72 * (at + 1)],
            }
            for at, one in enumerate(names)
        ]
        if rows:
            with self.house.engine.begin() as connection:
                connection.execute(insert(payload_contents), rows)
        return names

    def store(self, photo: bytes) -> str:
        name = digest(photo)
        self.house.objects.put(payload_key(name), photo)
        return name

    def persist(self, photos: list[str]) -> None:
        if not photos:
            return
        now = utc_now()
        lines = [
            RawRecord(
                offset=n,
                received_at=now + timedelta(microseconds=n),
                source="app",
                id=str(n),
                content_type=PLAIN,
                body=BODY.format(n=n, p=n % 50, digest=photo),
            )
            for n, photo in enumerate(photos, self.offset)
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
                records=len(lines),
                bytes=len(data),
            )
        )
        self.offset += len(lines)

    def counted(self) -> int:
        newest = select(decisions.c.corrections).order_by(decisions.c.id.desc()).limit(1)
        with self.house.engine.connect() as connection:
            return int(connection.execute(newest).scalar_one_or_none() or 0)


def delays(bench: Bench, random: Random) -> list[float]:
    rng = np.random.default_rng(1)
    names = [bench.store(drawn(rng)) for _ in range(LOOKS + 1)]
    attention = Attention(bench.house)
    attention.start()
    found = []
    for name in names:
        time.sleep(random.uniform(0.1, 1.1))
        before = bench.counted()
        bench.persist([name])
        began = time.perf_counter()
        while bench.counted() == before:
            time.sleep(0.005)
        found.append(time.perf_counter() - began)
    attention.stop()
    return found[1:]  # before the first, it went over all that there was


def main() -> None:
    random = Random(1)  # noqa: S311  when people speak, repeatably
    print("records before | since the last training | photos     | p50 s | p95 s | longest s")
    for before, since, how in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), before, since, how)
            found = sorted(delays(bench, random))
            bench.house.close()
        p50, p95 = statistics.median(found), found[int(0.95 * (len(found) - 1))]
        print(
            f"{before:>14} | {since:>23} | {how:<10} | {p50:5.2f} | {p95:5.2f} | {found[-1]:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
