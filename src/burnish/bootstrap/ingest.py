"""The ingest role: the feedback front, its spool, and its way to the raw log."""

import asyncio
from typing import Protocol

from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.ingest_server import FailStop, serve_ingest
from burnish.adapters.queues.postgres import PostgresQueue, PostgresQueueSettings
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.spool.log import Spool, SpoolSettings
from burnish.adapters.spool.quarantine import QuarantineSpool
from burnish.adapters.spool.shipper import Shipper, ShipperSettings
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.system import new_trace_id, utc_now
from burnish.bootstrap.house import House
from burnish.feedback.ports import Intake, QueueReader
from burnish.ingest.app import IngestApp, IngestLimits
from burnish.ingest.intake import Intake as QueueIntake
from burnish.ingest.records import Records
from burnish.kernel.errors import InvalidInput
from burnish.settings import IngestSettings, Settings


class _Reader(QueueReader, Protocol):
    """A queue that can also be run."""

    async def run(self, stop: asyncio.Event) -> None: ...


def run(settings: Settings) -> None:
    """Accept feedback until SIGTERM."""
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
        ),
    )
    quarantine = QuarantineSpool(
        folder / "quarantine", house.objects, meter=metrics, failed=fail_stop
    )
    shipper = Shipper(
        spool,
        house.objects,
        SqlManifest(house.engine),
        meter=metrics,
        settings=ShipperSettings(seal_bytes=ingest.seal_bytes, seal_seconds=ingest.seal_seconds),
    )
    intake = QueueIntake(
        Records(
            log=spool,
            quarantine=quarantine,
            meter=metrics,
            clock=utc_now,
            cap=ingest.max_record_bytes,
        ),
        house.directory,
        cap=ingest.max_batch_bytes,
    )
    queues = _queues(ingest, intake, spool)
    app = IngestApp(
        log=spool,
        quarantine=quarantine,
        sealer=shipper,
        directory=house.directory,
        meter=metrics,
        clock=utc_now,
        new_trace_id=new_trace_id,
        limits=IngestLimits(
            record_bytes=ingest.max_record_bytes,
            batch_bytes=ingest.max_batch_bytes,
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

    metrics.watch(spool.backlog)
    shipper.start()
    serve_ingest(
        host=ingest.host,
        port=ingest.port,
        app=app,
        on_stop=close,
        fail_stop=fail_stop,
        header_deadline_s=ingest.header_seconds,
        drain_s=drain_s,
        beside=[queue.run for queue in queues],
    )


def _queues(ingest: IngestSettings, intake: Intake, spool: Spool) -> list[_Reader]:
    """Return readers of the queues that the settings name. Raises InvalidInput."""
    readers: list[_Reader] = []
    if ingest.rabbitmq_url:
        readers.append(_rabbitmq(ingest, intake))
    if ingest.postgres_queue_url:
        settings = PostgresQueueSettings(
            url=ingest.postgres_queue_url,
            table=ingest.postgres_queue_table,
            poll_s=ingest.postgres_queue_poll_seconds,
        )
        readers.append(PostgresQueue(settings, intake, spool))
    return readers


def _rabbitmq(ingest: IngestSettings, intake: Intake) -> _Reader:
    try:
        from burnish.adapters.queues.rabbitmq import RabbitQueue, RabbitSettings  # noqa: PLC0415
    except ModuleNotFoundError as error:  # an extra: most installations have no broker
        raise InvalidInput.of(
            "ingest.rabbitmq_url", "…", f"install burnish[rabbitmq]: {error}"
        ) from error
    settings = RabbitSettings(
        url=ingest.rabbitmq_url,
        queue=ingest.rabbitmq_queue,
        prefetch=ingest.rabbitmq_prefetch,
        delivery_limit=ingest.rabbitmq_delivery_limit,
    )
    return RabbitQueue(settings, intake)
