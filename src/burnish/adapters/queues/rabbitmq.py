"""Feedback from a RabbitMQ quorum queue: a message is acknowledged once its records are durable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue, TimeoutType
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelPreconditionFailed,
    ProbableAuthenticationError,
)
from msgspec import Struct

from burnish.adapters.backoff import CAP_S, FIRST_S, Stopped, keep_trying
from burnish.adapters.queues.amqp_events import attributes
from burnish.feedback.ports import Intake
from burnish.kernel.errors import InvalidInput, Unavailable

_log = structlog.get_logger("burnish.rabbitmq")

_CONNECT_S: Final = 10.0
_OPEN_S: Final = 10.0
_HEARTBEAT_S: Final = 15  # a broker that vanished without a word is noticed after two of them
_DEAD: Final = ".dead"

for _talkative in ("aio_pika", "aiormq"):  # what they tell of lost connections we tell ourselves
    logging.getLogger(_talkative).setLevel(logging.CRITICAL)

Handler = Callable[[AbstractIncomingMessage], Awaitable[None]]


class RabbitSettings(Struct, frozen=True, kw_only=True):
    """Which queue, and how much of it at once."""

    url: str  # amqp://USER:PASSWORD@HOST:PORT/VHOST
    queue: str
    prefetch: int = 256  # messages, each of some records
    delivery_limit: int = 20  # deliveries; one more, and the message is poison
    retry_first_s: float = FIRST_S
    retry_cap_s: float = CAP_S


class _Connection(aio_pika.Connection):
    """Closes what it could not open, where the library leaves that to the garbage collector."""

    async def connect(self, timeout: TimeoutType = None) -> None:  # noqa: ASYNC109  as inherited
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


class RabbitQueue:
    """Consumes one quorum queue, and the queue of its dead letters, until told to stop.

    A message that cannot be kept now, as the spool is full, is held and offered again: giving it
    back would count as a failed delivery. As no more than `prefetch` are held, the broker then
    sends no more. A message that was delivered too often, because this process died on it time
    and again, becomes a dead letter, and goes to quarantine unread.

    Raises InvalidInput if the settings cannot be.
    """

    name = "rabbitmq"

    def __init__(self, settings: RabbitSettings, intake: Intake) -> None:
        self._settings, self._intake = settings, intake
        self._place = _place(settings.url)
        self._lost: str | None = "It is not connected yet."
        self._held: dict[asyncio.Task[None], str] = {}  # messages waiting to be kept, and why

    def trouble(self) -> str | None:
        """Say why nothing comes from it, and what to do; None if all is well."""
        return self._lost or next((why for why in self._held.values() if why), None)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until the event; connect again, however often that takes."""
        try:
            await keep_trying(
                partial(self._session, stop),
                stop=stop,
                failed=self._failed,
                first_s=self._settings.retry_first_s,
                cap_s=self._settings.retry_cap_s,
            )
        except Stopped:
            _log.info("rabbitmq.stopped", lost=self._lost)

    async def _session(self, stop: asyncio.Event) -> None:
        """Consume over one connection. Raises what ended it, returns once told to stop."""
        connection = await aio_pika.connect(
            self._settings.url,
            timeout=_CONNECT_S,
            heartbeat=_HEARTBEAT_S,
            client_properties={"connection_name": "burnish-ingest"},
            connection_class=_Connection,
        )
        async with connection:
            channel = await connection.channel()
            ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

            def end(_sender: object, error: BaseException | None = None) -> None:
                if not ended.done():
                    ended.set_result(error or Unavailable("it has closed the connection"))

            channel.close_callbacks.add(end)
            underlay = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(end)  # the queue was deleted
            # A broker that is still starting may take a question and never answer it.
            async with asyncio.timeout(_OPEN_S):
                consumers = await self._consume(channel, stop)
            self._lost = None
            _log.info("rabbitmq.consuming", broker=self._place, queue=self._settings.queue)
            stopping = asyncio.create_task(stop.wait())
            either: set[asyncio.Future[Any]] = {ended, stopping}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    raise ended.result()
                for queue, tag in consumers:
                    await queue.cancel(tag)
                while self._held:
                    await asyncio.wait(set(self._held))
            finally:
                stopping.cancel()
                # Of another connection they could acknowledge nothing, and would only pile up.
                for task in list(self._held):
                    task.cancel()

    async def _consume(
        self, channel: AbstractChannel, stop: asyncio.Event
    ) -> list[tuple[AbstractQueue, str]]:
        """Begin to receive; return the queues and the tags that end it."""
        await channel.set_qos(prefetch_count=self._settings.prefetch)
        dead, queue = await self._declare(channel)
        return [
            (source, await source.consume(partial(self._receive, stop, handler)))
            for source, handler in ((dead, self._put_aside), (queue, self._take))
        ]

    async def _declare(self, channel: AbstractChannel) -> tuple[AbstractQueue, AbstractQueue]:
        """Return the queue of dead letters and the queue, made if they are missing."""
        name = self._settings.queue
        dead = await channel.declare_queue(
            name + _DEAD, durable=True, arguments={"x-queue-type": "quorum"}
        )
        queue = await channel.declare_queue(
            name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": self._settings.delivery_limit,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": name + _DEAD,
                # Or a dead letter could get lost on its way; it asks for this way of overflowing.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        return dead, queue

    async def _receive(
        self, stop: asyncio.Event, handler: Handler, message: AbstractIncomingMessage
    ) -> None:
        """Keep one message, then acknowledge it; leave it to the broker if we stop before."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a consumer runs in a task")
        self._held[task] = ""

        def wait(error: Exception) -> None:
            if not self._held[task]:
                _log.warning("rabbitmq.held", error=repr(error))
            self._held[task] = f"The broker's messages wait: {error}"

        try:
            await keep_trying(
                partial(handler, message),
                stop=stop,
                failed=wait,
                first_s=self._settings.retry_first_s,
                cap_s=self._settings.retry_cap_s,
            )
            await message.ack()
        except (Stopped, *CONNECTION_EXCEPTIONS) as error:
            _log.debug("rabbitmq.unacknowledged", error=repr(error))  # it will come again
        finally:
            del self._held[task]

    async def _take(self, message: AbstractIncomingMessage) -> None:
        await self._intake.take(
            message.body, message.content_type or "", attributes(message.headers)
        )

    async def _put_aside(self, message: AbstractIncomingMessage) -> None:
        await self._intake.put_aside(
            message.body,
            message.content_type or "",
            attributes(message.headers),
            why=f"It was delivered more than {self._settings.delivery_limit} times and never "
            "acknowledged: the process died on it, or was held up, each time.",
        )

    def _failed(self, error: Exception) -> None:
        self._lost = self._explain(error)
        _log.warning("rabbitmq.retry", broker=self._place, error=repr(error))

    def _explain(self, error: Exception) -> str:
        match error:
            case ChannelPreconditionFailed():
                return (
                    f"{self._place} has a queue {self._settings.queue!r} with other properties "
                    f"({error}): name another one in ingest.rabbitmq_queue, or drain and delete it."
                )
            case AuthenticationError() | ProbableAuthenticationError():
                return f"{self._place} refuses user or password: check ingest.rabbitmq_url."
            case _:
                return f"{self._place} does not serve us ({error!r}); trying again."


def _place(url: str) -> str:
    """Return where a broker is, without the password. Raises InvalidInput if it is nowhere."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if not parts.hostname or port == 0:
        raise InvalidInput.of(
            "ingest.rabbitmq_url", _masked(url), "give amqp://USER:PASSWORD@HOST:PORT/VHOST"
        )
    return f"RabbitMQ at {parts.hostname}" + (f":{port}" if port else "")


def _masked(url: str) -> str:
    return f"{url.partition('://')[0]}://…@{url.rpartition('@')[2]}" if "@" in url else url
