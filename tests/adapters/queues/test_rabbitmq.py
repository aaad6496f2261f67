"""A quorum queue on a real broker, into a real spool."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import aio_pika
import pytest

from burnish.adapters.queues.rabbitmq import RabbitQueue, RabbitSettings
from burnish.kernel.errors import InvalidInput
from support.rabbitmq import Broker, depths, publish

NDJSON = "application/x-ndjson"


@pytest.fixture
def settings(broker: Broker, request: pytest.FixtureRequest) -> Iterator[RabbitSettings]:
    """A queue of this test's own."""
    name = request.node.name[:100]
    yield RabbitSettings(url=broker.url, queue=name, prefetch=8, delivery_limit=2, retry_cap_s=0.2)
    asyncio.run(_delete(broker.url, name))


async def _delete(url: str, name: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for one in (name, f"{name}.dead"):
            await channel.queue_delete(one)


@pytest.fixture
def started(
    harbour: Any, settings: RabbitSettings, eventually: Any
) -> tuple[RabbitQueue, Callable[[], None]]:
    """A reader that consumes, and what stops it."""
    queue = RabbitQueue(settings, harbour.intake)
    stop = harbour.run(queue)
    eventually(lambda: queue.trouble() is None)
    return queue, stop


def plain(document: Any) -> bytes:
    return json.dumps(document).encode()


def event(document: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in document.items() if name not in {"id", "source"}}
    return {
        "specversion": "1.0",
        "type": "burnish.feedback.v1",
        "id": document["id"],
        "source": document["source"],
        "data": data,
    }


def test_every_form_of_a_record_is_taken(
    harbour: Any, settings: RabbitSettings, started: Any, record: Any, eventually: Any
) -> None:
    binary = event(record(5))
    body = binary.pop("data")
    lines = b"\n".join(plain(record(n)) for n in (6, 7)) + b"\n" + plain(event(record(8)))
    asyncio.run(
        publish(
            settings.url,
            settings.queue,
            [
                (plain(record(1)), "application/json", {}),
                (plain(record(2)), None, {}),
                (plain(event(record(3))), "application/cloudevents+json; charset=utf-8", {}),
                (
                    plain(body),
                    "application/json",
                    {f"cloudEvents_{k}": v for k, v in binary.items()},
                ),
                (lines, NDJSON, {}),
                (plain([event(record(9))]), "application/cloudevents-batch+json", {}),
            ],
        )
    )
    eventually(lambda: harbour.spool.end == 8)
    assert sorted(harbour.ids()) == [f"r-{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9)]
    assert harbour.quarantine() == []
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))


def test_what_cannot_be_accepted_is_in_quarantine_and_off_the_queue(
    harbour: Any, settings: RabbitSettings, started: Any, record: Any, eventually: Any
) -> None:
    many = b"\n".join(plain(record(n)) for n in range(101))
    messages = [
        (plain(record(1)), None, {}),
        (plain(record(1, final="good", corrected=False)), None, {}),  # the same id, another body
        (plain(record(2, model="face")), None, {}),
        (b"{no json", None, {}),
        (b"\xff\xfe", None, {}),
        (many, NDJSON, {}),
        (b"x" * (1 << 20) + b"xx", None, {}),
        (plain(record(3)) + b"\n{bad\n" + plain(record(4)), NDJSON, {}),
    ]
    for message in messages:  # one by one: of two with one id, the first is to come first
        asyncio.run(publish(settings.url, settings.queue, [message]))
    eventually(lambda: len(harbour.quarantine()) == 7)
    assert sorted(one["code"] for one in harbour.quarantine()) == [
        "feedback.conflict",
        "malformed_feedback_event",
        "malformed_feedback_event",
        "malformed_feedback_event",
        "request.too_large",
        "request.too_large",
        "unknown_model",
    ]
    assert sorted(harbour.ids()) == ["r-1", "r-3", "r-4"]
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))


def test_a_full_spool_holds_messages_back_without_counting_them_as_failed(
    new_harbour: Any, settings: RabbitSettings, record: Any, eventually: Any
) -> None:
    # Given a spool that is full after a few records, and a queue that holds many.
    harbour = new_harbour(high_water=4000, low_water=3000)
    queue = RabbitQueue(settings, harbour.intake)
    stop = harbour.run(queue)
    eventually(lambda: queue.trouble() is None)
    count = 40
    asyncio.run(
        publish(settings.url, settings.queue, [(plain(record(n)), None, {}) for n in range(count)])
    )

    # When it is full, then that is said, and the rest stays at the broker but for the prefetch.
    said = eventually(queue.trouble)
    assert "wait" in said
    left = count - settings.prefetch
    eventually(lambda: harbour.spool.end + depths(settings.url, settings.queue)[0] == left)

    # When it drains, then every record comes in, once, and none as a dead letter.
    eventually(lambda: harbour.seal() == count)
    assert sorted(harbour.ids()) == sorted(f"r-{n}" for n in range(count))
    assert harbour.quarantine() == []
    eventually(lambda: queue.trouble() is None)
    stop()
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))


def test_a_message_delivered_too_often_ends_in_quarantine_unread(
    harbour: Any, settings: RabbitSettings, record: Any, eventually: Any
) -> None:
    # Given a message whose consumers died on it, each time before they acknowledged it.
    queue = RabbitQueue(settings, harbour.intake)
    harbour.run(queue)()
    body = plain(record(1))
    asyncio.run(publish(settings.url, settings.queue, [(body, None, {})]))
    for _ in range(settings.delivery_limit + 1):
        asyncio.run(_die_on_one(settings))

    # When the reader runs, then the message is kept with its reason, and nothing is left behind.
    harbour.run(RabbitQueue(settings, harbour.intake))
    kept = eventually(harbour.quarantine)
    assert [(one["code"], one["body"]) for one in kept] == [("poison_message", body.decode())]
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))
    assert harbour.spool.end == 0


def test_while_nothing_is_published_messages_wait(
    harbour: Any, settings: RabbitSettings, started: Any, record: Any, eventually: Any
) -> None:
    queue, stop = started
    harbour.directory.there = False
    asyncio.run(publish(settings.url, settings.queue, [(plain(record(1)), None, {})]))
    assert "nothing is published" in eventually(queue.trouble)
    stop()  # what it holds it leaves to the broker
    eventually(lambda: depths(settings.url, settings.queue) == (1, 0))
    harbour.directory.there = True
    harbour.run(queue)
    eventually(lambda: harbour.spool.end == 1)


def test_a_broker_that_is_killed_loses_nothing_confirmed_and_is_found_again(
    harbour: Any, settings: RabbitSettings, record: Any, eventually: Any, broker: Broker
) -> None:
    # Given an application that publishes, and notes what the broker confirmed.
    queue = RabbitQueue(settings, harbour.intake)
    harbour.run(queue)
    eventually(lambda: queue.trouble() is None and broker.remembers(settings.queue))
    confirmed: list[str] = []

    async def application() -> None:
        async with await aio_pika.connect(settings.url) as connection:
            channel = await connection.channel()
            for number in range(10_000):
                message = aio_pika.Message(
                    plain(record(number)), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                )
                await channel.default_exchange.publish(message, settings.queue)
                confirmed.append(f"r-{number}")
                if len(confirmed) == 200:
                    broker.kill()

    # When the broker is killed in the middle of it.
    with pytest.raises(aio_pika.exceptions.CONNECTION_EXCEPTIONS):
        asyncio.run(application())
    assert "trying again" in eventually(queue.trouble)

    # Then, once it is back, all that was confirmed comes in, each record once.
    broker.start()
    eventually(lambda: queue.trouble() is None)
    eventually(lambda: set(confirmed) <= set(harbour.ids()))
    ids = harbour.ids()
    assert len(ids) == len(set(ids))
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))


def test_a_deleted_queue_is_made_again(
    harbour: Any, settings: RabbitSettings, started: Any, record: Any, eventually: Any
) -> None:
    asyncio.run(_delete(settings.url, settings.queue))
    eventually(lambda: depths(settings.url, settings.queue) == (0, 0))
    asyncio.run(publish(settings.url, settings.queue, [(plain(record(1)), None, {})]))
    eventually(lambda: harbour.spool.end == 1)


def test_a_queue_with_other_properties_is_named_with_the_fix(
    harbour: Any, settings: RabbitSettings, eventually: Any
) -> None:
    async def declare() -> None:
        async with await aio_pika.connect(settings.url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(settings.queue, durable=True)

    asyncio.run(declare())
    queue = RabbitQueue(settings, harbour.intake)
    harbour.run(queue)
    assert "ingest.rabbitmq_queue" in eventually(
        lambda: "other properties" in (queue.trouble() or "") and queue.trouble()
    )


def test_a_wrong_password_is_named_and_not_shown(
    harbour: Any, settings: RabbitSettings, eventually: Any
) -> None:
    wrong = RabbitSettings(url=settings.url.replace(":guest@", ":secret@"), queue=settings.queue)
    queue = RabbitQueue(wrong, harbour.intake)
    harbour.run(queue)
    said = eventually(lambda: "refuses" in (queue.trouble() or "") and queue.trouble())
    assert "secret" not in said


def test_an_address_that_cannot_be_is_an_error_at_the_start(harbour: Any) -> None:
    with pytest.raises(InvalidInput, match=r"ingest.rabbitmq_url.*AMQP|amqp://USER") as error:
        RabbitQueue(RabbitSettings(url="amqp://kim:secret@host:port/", queue="q"), harbour.intake)
    assert "secret" not in str(error.value)


async def _die_on_one(settings: RabbitSettings) -> None:
    """Receive one message, and go away without a word."""
    connection = await aio_pika.connect(settings.url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1)
    queue = await channel.get_queue(settings.queue)
    got = asyncio.Event()

    async def receive(_message: object) -> None:
        got.set()

    await queue.consume(receive)
    async with asyncio.timeout(30):
        await got.wait()
    await connection.close()
