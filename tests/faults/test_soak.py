"""Minutes at full rate with everything going wrong: accepted is what the raw log holds, once.

BURNISH_SOAK_SECONDS says how long each takes; ten minutes unless it does.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import raw_reader
from support.intake import Load, Role
from support.s3 import S3Server

SECONDS = float(os.environ.get("BURNISH_SOAK_SECONDS", "600"))
WARM_UP = 0.2  # share of the time in which buffers and caches fill
FLAT = 0.10

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS * 3 + 300)]


@pytest.fixture(name="url")
def _url(s3: S3Server) -> str:
    return s3.url()


@pytest.fixture(name="role")
def _role(s3: S3Server, url: str, tmp_path: Path) -> Iterator[Role]:
    role = Role(
        tmp_path,
        {
            "objects.url": url,
            "objects.endpoint": s3.endpoint,
            "objects.credentials_file": str(s3.credentials_file),
            "objects.allow_http": "true",
            "objects.timeout_seconds": "3",
            "ingest.seal_seconds": "2",
            "ingest.segment_bytes": str(4 << 20),
        },
    )
    yield role
    role.kill()


def repeatedly(stop: threading.Event, pause: Callable[[], float], do: Callable[[], None]) -> None:
    while not stop.wait(pause()):
        do()


def test_kills_and_outages_at_full_rate_lose_and_double_nothing(
    role: Role, s3: S3Server, url: str
) -> None:
    chance = random.Random(9)
    counts = {"kills": 0, "outages": 0}
    over = threading.Event()

    def kill() -> None:
        role.kill()
        role.start()
        counts["kills"] += 1

    def outage() -> None:
        if chance.random() < 0.5:
            s3.hang()
        else:
            s3.kill()
        over.wait(chance.uniform(1, 10))
        s3.restore()
        counts["outages"] += 1

    role.start()
    chaos = [
        threading.Thread(target=repeatedly, args=(over, lambda: chance.uniform(1, 15), kill)),
        threading.Thread(target=repeatedly, args=(over, lambda: chance.uniform(5, 20), outage)),
    ]
    with Load(role, largest=200) as load:
        for thread in chaos:
            thread.start()
        time.sleep(SECONDS)
        over.set()
        for thread in chaos:
            thread.join()
    role.seal()
    lines = raw_reader.lines_of(raw_reader.bucket(url, s3.endpoint))
    print(f"{len(load.acknowledged)} accepted, {len(lines)} in the raw log, {counts}")  # noqa: T201
    raw_reader.check(lines, load.acknowledged)
    assert min(counts.values()) > 0


def test_memory_stays_flat_in_an_outage_of_the_store_under_load(role: Role, s3: S3Server) -> None:
    role.start()
    with Load(role, largest=200) as load:
        time.sleep(SECONDS * WARM_UP / 2)
        s3.hang()
        time.sleep(SECONDS * WARM_UP / 2)
        samples = []
        end = time.monotonic() + SECONDS * (1 - WARM_UP)
        while time.monotonic() < end:
            samples.append(role.resident_bytes())
            time.sleep(1)
        backlog = role.metric("burnish_spool_backlog_records")
        s3.go_on()
    role.seal()
    middle = statistics.median(samples)
    print(  # noqa: T201
        f"resident MiB: first {samples[0] / 2**20:.1f}, median {middle / 2**20:.1f}, "
        f"least {min(samples) / 2**20:.1f}, most {max(samples) / 2**20:.1f}; "
        f"{len(load.acknowledged)} accepted, {backlog:.0f} waiting at the end of the outage"
    )
    assert max(samples) <= middle * (1 + FLAT)
    assert min(samples) >= middle * (1 - FLAT)
