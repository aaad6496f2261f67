"""The ingest role: the feedback front, its spool, and its way to the raw log."""

from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

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
from burnish.bootstrap.queues import RunningReader, queue_readers
from burnish.feedback.ports import Directory, FeedbackLog
from burnish.ingest.app import IngestApp, IngestLimits
from burnish.ingest.connections import Connections
from burnish.ingest.intake import Intake
from burnish.ingest.records import Records
from burnish.kernel.clock import Clock
from burnish.kernel.objects import Objects
from burnish.settings import Settings


class FeedbackFront:
    """The parts of the role, put together; what is left from an earlier process is on its way.

    Args:
        folder: DIR/spool/<shard>.
        shard: the shard's name.
        objects: where the raw log lies.
        engine: of the database with its manifest.
        directory: models and keys.
        registry: of its metrics.
        spool: sizes.
        shipper: when to seal.
        limits: of requests.
        clock: gives the receive time.
        log: takes the records instead of the spool, as a benchmark may want it.
    """

    def __init__(
        self,
        folder: Path,
        shard: str,
        *,
        objects: Objects,
        engine: Engine,
        directory: Directory,
        registry: CollectorRegistry,
        spool: SpoolSettings | None = None,
        shipper: ShipperSettings | None = None,
        limits: IngestLimits | None = None,
        clock: Clock = utc_now,
        log: FeedbackLog | None = None,
    ) -> None:
        self._directory = directory
        self._limits = limits or IngestLimits()
        self._metrics = IngestMetrics(registry)
        self._fail_stop = FailStop()
        self.spool = Spool(
            folder,
            shard=shard,
            history=RawLogReader(objects, engine),
            clock=clock,
            meter=self._metrics,
            failed=self._fail_stop,
            settings=spool,
        )
        self._log = log or self.spool
        self._quarantine = QuarantineSpool(
            folder / "quarantine",
            objects,
            index=SqlQuarantineIndex(engine),
            reserve=self.spool.reserve,
            meter=self._metrics,
            failed=self._fail_stop,
        )
        self._shipper = Shipper(
            self.spool, objects, SqlManifest(engine), meter=self._metrics, settings=shipper
        )
        self.records = Records(
            log=self._log,
            quarantine=self._quarantine,
            predictions=PredictionLookup(SqlPredictions(engine)),
            meter=self._metrics,
            clock=utc_now,
            cap=self._limits.record_bytes,
        )
        self._metrics.watch(
            self.spool.backlog,
            reserve=self.spool.reserve,
            shipper=self._shipper,
            quarantine=self._quarantine,
        )
        self._shipper.start()

    def app(self, queues: Sequence[RunningReader] = ()) -> IngestApp:
        """Return what answers requests, and reports on the other ways in."""
        return IngestApp(
            records=self.records,
            log=self._log,
            sealer=self._shipper,
            directory=self._directory,
            meter=self._metrics,
            new_trace_id=new_trace_id,
            limits=self._limits,
            queues=queues,
        )

    def serve(
        self,
        host: str,
        port: int,
        *,
        header_s: float,
        drain_s: float,
        on_stop: Callable[[], None],
        queues: Sequence[RunningReader] = (),
    ) -> None:
        """Accept feedback until SIGTERM; see `serve_ingest`."""
        serve_ingest(
            host=host,
            port=port,
            connections=Connections(
                self.app(queues), new_trace_id=new_trace_id, deadline_s=header_s, most=CONNECTIONS
            ),
            on_stop=on_stop,
            fail_stop=self._fail_stop,
            drain_s=drain_s,
            beside=[queue.run for queue in queues],
        )

    def close(self, *, deadline_s: float) -> None:
        """Ship the records, then what was refused, for so long each; the rest waits on disk."""
        self._shipper.close(deadline_s=deadline_s)
        self._quarantine.close(deadline_s=deadline_s)
        self.spool.close()


def run(settings: Settings) -> None:
    """Accept feedback until SIGTERM."""
    share_one_heap()
    house = House.open(settings, "ingest")
    ingest = settings.ingest
    front = FeedbackFront(
        settings.data / "spool" / ingest.shard,
        ingest.shard,
        objects=house.objects,
        engine=house.engine,
        directory=house.directory,
        registry=house.registry,
        spool=SpoolSettings(
            segment=ingest.segment_bytes,
            high_water=ingest.spool_high_water_bytes,
            low_water=ingest.spool_low_water_bytes,
            queue=ingest.in_flight_bytes,
            reserve=ingest.reserve_bytes,
        ),
        shipper=ShipperSettings(seal_bytes=ingest.seal_bytes, seal_seconds=ingest.seal_seconds),
        limits=IngestLimits(
            record_bytes=ingest.max_record_bytes,
            batch_bytes=ingest.max_batch_bytes,
            in_flight_bytes=ingest.in_flight_bytes,
            body_deadline_s=ingest.body_seconds,
        ),
    )
    intake = Intake(front.records, house.directory, cap=ingest.max_batch_bytes)
    drain_s = settings.process.drain_seconds / 3  # requests end, records ship, what was refused too

    def close() -> None:
        front.close(deadline_s=drain_s)
        house.close()

    front.serve(
        ingest.host,
        ingest.port,
        header_s=ingest.header_seconds,
        drain_s=drain_s,
        on_stop=close,
        queues=queue_readers(ingest, intake, front.spool),
    )
