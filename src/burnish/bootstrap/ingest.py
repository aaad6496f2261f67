"""The ingest role: the feedback front, its spool, and its way to the raw log."""

from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.ingest_server import CONNECTIONS, FailStop, serve_ingest
from burnish.adapters.prediction_lookup import PredictionLookup
from burnish.adapters.process import share_one_heap
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.spool.log import Spool, SpoolSettings
from burnish.adapters.spool.quarantine import QuarantineSpool
from burnish.adapters.spool.shipper import Shipper, ShipperSettings
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.quarantine import SqlQuarantineIndex
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.system import new_trace_id, utc_now
from burnish.bootstrap.house import House
from burnish.bootstrap.queues import queue_readers
from burnish.ingest.app import IngestApp, IngestLimits
from burnish.ingest.connections import Connections
from burnish.ingest.intake import Intake
from burnish.ingest.records import Records
from burnish.settings import Settings


def run(settings: Settings) -> None:
    """Accept feedback until SIGTERM."""
    share_one_heap()
    house = House.open(settings, "ingest")
    ingest = settings.ingest
    folder = settings.data / "spool" / ingest.shard
    metrics = IngestMetrics(house.registry)
    fail_stop = FailStop()
    spool = Spool(
        folder,
        shard=ingest.shard,
        history=RawLogReader(house.objects, house.engine),
        clock=utc_now,
        meter=metrics,
        failed=fail_stop,
        settings=SpoolSettings(
            segment=ingest.segment_bytes,
            high_water=ingest.spool_high_water_bytes,
            low_water=ingest.spool_low_water_bytes,
            queue=ingest.in_flight_bytes,
            reserve=ingest.reserve_bytes,
        ),
    )
    quarantine = QuarantineSpool(
        folder / "quarantine",
        house.objects,
        index=SqlQuarantineIndex(house.engine),
        reserve=spool.reserve,
        meter=metrics,
        failed=fail_stop,
    )
    shipper = Shipper(
        spool,
        house.objects,
        SqlManifest(house.engine),
        meter=metrics,
        settings=ShipperSettings(seal_bytes=ingest.seal_bytes, seal_seconds=ingest.seal_seconds),
    )
    records = Records(
        log=spool,
        quarantine=quarantine,
        predictions=PredictionLookup(SqlPredictions(house.engine)),
        meter=metrics,
        clock=utc_now,
        cap=ingest.max_record_bytes,
    )
    intake = Intake(records, house.directory, cap=ingest.max_batch_bytes)
    queues = queue_readers(ingest, intake, spool)
    app = IngestApp(
        records=records,
        log=spool,
        sealer=shipper,
        directory=house.directory,
        meter=metrics,
        new_trace_id=new_trace_id,
        limits=IngestLimits(
            record_bytes=ingest.max_record_bytes,
            batch_bytes=ingest.max_batch_bytes,
            in_flight_bytes=ingest.in_flight_bytes,
            body_deadline_s=ingest.body_seconds,
        ),
        queues=queues,
    )

    # Requests end, then their records are shipped, then what was refused. The rest waits on disk.
    drain_s = settings.process.drain_seconds / 3

    def close() -> None:
        shipper.close(deadline_s=drain_s)
        quarantine.close(deadline_s=drain_s)
        spool.close()
        house.close()

    metrics.watch(spool.backlog, reserve=spool.reserve, shipper=shipper, quarantine=quarantine)
    shipper.start()
    serve_ingest(
        host=ingest.host,
        port=ingest.port,
        connections=Connections(
            app, new_trace_id=new_trace_id, deadline_s=ingest.header_seconds, most=CONNECTIONS
        ),
        on_stop=close,
        fail_stop=fail_stop,
        drain_s=drain_s,
        beside=[queue.run for queue in queues],
    )
