"""The ingest role as bootstrap wires it, for tests that need it as a process of its own."""

import itertools
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry

from burnish.adapters.directory import PublishedDirectory
from burnish.adapters.objects import LocalObjects
from burnish.adapters.objects_s3 import Credentials, S3Objects
from burnish.adapters.spool.log import SpoolSettings
from burnish.adapters.spool.shipper import ShipperSettings
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.adapters.telemetry import configure_logging
from burnish.bootstrap.ingest import FeedbackFront
from burnish.ingest.app import IngestLimits

SECRET = b"s" * 32
SHARD = "0"
SEGMENT_BYTES = 1000  # a few records: every test rotates


class Options(Struct, frozen=True, kw_only=True):
    """What a test may have otherwise."""

    seal_seconds: float = 3600.0
    seal_bytes: int = 16 << 20
    segment_bytes: int = SEGMENT_BYTES
    hot: int = 2  # identities: a few records become a run, a few more are merged
    clock_jumps: tuple[float, ...] = (0.0,)  # seconds that each look at the clock is off, in turn
    high_water_bytes: int = 1 << 30
    reserve_bytes: int = 1 << 20
    s3_url: str = ""  # empty: a local folder
    s3_endpoint: str = ""
    s3_timeout_s: float = 5.0
    drain_s: float = 10.0
    limits: IngestLimits = IngestLimits()
    sync: bool = True  # False: lie to the process about its syncs, as a bad disk would


def objects_of(data: Path, options: Options) -> LocalObjects | S3Objects:
    if not options.s3_url:
        return LocalObjects(
            data / "objects", base_url="http://127.0.0.1:1", secret=SECRET, clock=utc_now
        )
    return S3Objects(
        options.s3_url,
        endpoint=options.s3_endpoint,
        region="us-east-1",
        credentials=Credentials(key_id="tests", secret="of-burnish"),
        allow_http=True,
        timeout_s=options.s3_timeout_s,
    )


class Role:
    """The role's parts over a data folder, as bootstrap puts them together."""

    def __init__(self, data: Path, options: Options) -> None:
        self._drain_s = options.drain_s
        self._engine = make_engine(f"sqlite:///{data / 'burnish.db'}")
        metadata.create_all(self._engine)
        jumps = itertools.cycle(options.clock_jumps)
        self.front = FeedbackFront(
            data / "spool" / SHARD,
            SHARD,
            objects=objects_of(data, options),
            engine=self._engine,
            directory=PublishedDirectory(data / "published" / "directory.json", SECRET),
            registry=CollectorRegistry(),
            clock=lambda: utc_now() + timedelta(seconds=next(jumps)),
            spool=SpoolSettings(
                segment=options.segment_bytes,
                high_water=options.high_water_bytes,
                low_water=options.high_water_bytes * 3 // 4,
                reserve=options.reserve_bytes,
                hot=options.hot,
            ),
            shipper=ShipperSettings(
                seal_seconds=options.seal_seconds, seal_bytes=options.seal_bytes, retry_cap_s=1.0
            ),
            limits=options.limits,
        )

    def close(self) -> None:
        self.front.close(deadline_s=self._drain_s)
        self._engine.dispose()


def main(data: Path, port: int, options: Options) -> None:
    configure_logging("ingest", "debug")  # on a full disk a logger that raises ends what logs
    if not options.sync:
        unsynced: Any = os
        unsynced.fsync = unsynced.fdatasync = lambda _handle: None
    role = Role(data, options)
    role.front.serve("127.0.0.1", port, header_s=1.0, drain_s=35.0, on_stop=role.close)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Options))
