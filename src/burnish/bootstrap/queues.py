"""The ways into the spool beside HTTP, as far as the settings name any."""

import asyncio
from typing import Protocol

from burnish.adapters.queues.postgres import PostgresQueue, PostgresQueueSettings
from burnish.adapters.queues.postgres_cursor import Progress
from burnish.feedback.ports import Intake, QueueReader
from burnish.kernel.errors import InvalidInput
from burnish.settings import IngestSettings


class RunningReader(QueueReader, Protocol):
    """A reader that an event loop runs."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read until the event, then end what is under way."""
        ...


def queue_readers(ingest: IngestSettings, intake: Intake, spool: Progress) -> list[RunningReader]:
    """Return a reader for each queue that is named. Raises InvalidInput if one cannot be."""
    readers: list[RunningReader] = []
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


def _rabbitmq(ingest: IngestSettings, intake: Intake) -> RunningReader:
    try:  # an extra: most installations have no broker
        from burnish.adapters.queues.rabbitmq import RabbitQueue, RabbitSettings  # noqa: PLC0415
    except ModuleNotFoundError as error:
        fix = f"install burnish[rabbitmq]: {error.name} is missing"
        raise InvalidInput.of("ingest.rabbitmq_url", "amqp://…", fix) from error
    settings = RabbitSettings(
        url=ingest.rabbitmq_url,
        queue=ingest.rabbitmq_queue,
        prefetch=ingest.rabbitmq_prefetch,
        delivery_limit=ingest.rabbitmq_delivery_limit,
    )
    return RabbitQueue(settings, intake)
