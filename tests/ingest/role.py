"""The ingest role as bootstrap wires it, for tests that need it as a process of its own."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from burnish.adapters.directory import PublishedDirectory
from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.ingest_server import FailStop, serve_ingest
from burnish.adapters.objects import LocalObjects
from burnish.adapters.prediction_lookup import PredictionLookup
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.spool.log import Spool, SpoolSettings
from burnish.adapters.spool.quarantine import QuarantineSpool
from burnish.adapters.spool.shipper import Shipper, ShipperSettings
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import new_trace_id, utc_now
from burnish.ingest.app import IngestApp, IngestLimits

SECRET = b"s" * 32
SHARD = "0"
SEGMENT_BYTES = 1000  # a few records: every test rotates
DRAIN = timedelta(seconds=10)


def main(data: Path, port: int, seal_seconds: float) -> None:
    engine = make_engine(f"sqlite:///{data / 'burnish.db'}")
    metadata.create_all(engine)
    objects = LocalObjects(
        data / "objects", base_url="http://127.0.0.1:1", secret=SECRET, clock=utc_now
    )
    metrics = IngestMetrics(CollectorRegistry())
    fail_stop = FailStop()
    folder = data / "spool" / SHARD
    spool = Spool(
        folder,
        shard=SHARD,
        history=RawLogReader(objects, engine),
        clock=utc_now,
        meter=metrics,
        failed=fail_stop,
        settings=SpoolSettings(segment=SEGMENT_BYTES),
    )
    metrics.watch(spool.backlog)
    quarantine = QuarantineSpool(folder / "quarantine", objects, meter=metrics, failed=fail_stop)
    shipper = Shipper(
        spool,
        objects,
        SqlManifest(engine),
        meter=metrics,
        settings=ShipperSettings(seal_seconds=seal_seconds),
    )
    shipper.start()

    def on_stop() -> None:
        shipper.close(deadline_s=DRAIN.total_seconds())
        quarantine.close(deadline_s=DRAIN.total_seconds())
        spool.close()
        engine.dispose()

    app = IngestApp(
        log=spool,
        quarantine=quarantine,
        predictions=PredictionLookup(SqlPredictions(engine)),
        sealer=shipper,
        directory=PublishedDirectory(data / "published" / "directory.json", SECRET),
        meter=metrics,
        clock=utc_now,
        new_trace_id=new_trace_id,
        limits=msgspec.json.decode(os.environ.get("INGEST_LIMITS", "{}"), type=IngestLimits),
    )
    serve_ingest(
        host="127.0.0.1",
        port=port,
        app=app,
        on_stop=on_stop,
        fail_stop=fail_stop,
        header_deadline_s=1.0,
        drain_s=35.0,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
