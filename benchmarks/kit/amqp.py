"""Publishers with confirms: raw ones that cost little, frames made beforehand; and aio-pika's."""

import asyncio
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import aio_pika
from pamqp import body, commands, frame, header

from kit.load import RECORD

CHANNEL = 1
METHOD, ACK, END = 1, (60, 80), 0xCE
HEAD_BYTES = 7  # of a frame: type, channel, size
FRAME_BYTES = 131_072


class Publisher:
    """A connection with confirms, and a fresh quorum queue of its own."""

    def __init__(self, port: int, queue: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting: set[int] = set()  # delivery tags without their confirm
        self._tag = 0
        self._got = b""
        self._queue = queue
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._expect(commands.Connection.Start)
        self._send(0, commands.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
        self._expect(commands.Connection.Tune)
        self._send(0, commands.Connection.TuneOk(2, FRAME_BYTES, 0))
        self._ask(0, commands.Connection.Open("/"), commands.Connection.OpenOk)
        self._ask(CHANNEL, commands.Channel.Open(), commands.Channel.OpenOk)
        self._ask(CHANNEL, commands.Confirm.Select(), commands.Confirm.SelectOk)
        declare = commands.Queue.Declare(
            queue=queue, durable=True, arguments={"x-queue-type": "quorum"}
        )
        self._ask(CHANNEL, declare, commands.Queue.DeclareOk)

    def publish(self, messages: Sequence[bytes]) -> None:
        """Send messages, each of which will be confirmed."""
        self.socket.sendall(b"".join(messages))
        self.waiting.update(range(self._tag + 1, self._tag + 1 + len(messages)))
        self._tag += len(messages)

    def message(self, text: str) -> bytes:
        """Return the frames of one persistent message."""
        data = text.encode()
        properties = commands.Basic.Properties(content_type="application/json", delivery_mode=2)
        return b"".join(
            frame.marshal(one, CHANNEL)
            for one in (
                commands.Basic.Publish(exchange="", routing_key=self._queue),
                header.ContentHeader(0, len(data), properties),
                body.ContentBody(data),
            )
        )

    def confirmed(self) -> int:
        """Take in what has come; return how many messages it confirms."""
        before = len(self.waiting)
        self._receive()
        while len(self._got) >= HEAD_BYTES:
            size = int.from_bytes(self._got[3:7], "big")
            if len(self._got) < HEAD_BYTES + size + 1:
                break
            payload, self._got = self._got[7 : 7 + size], self._got[8 + size :]
            what = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
            assert what == ACK, f"the broker says {what}"
            tag, multiple = int.from_bytes(payload[4:12], "big"), payload[12] & 1
            if multiple:
                self.waiting.difference_update([one for one in self.waiting if one <= tag])
            else:
                self.waiting.discard(tag)
        return before - len(self.waiting)

    def delete_queue(self) -> None:
        """Delete the queue, so that the next one has the broker for itself."""
        self._ask(CHANNEL, commands.Queue.Delete(queue=self._queue), commands.Queue.DeleteOk)

    def _ask(self, channel: int, question: Any, answer: type) -> None:
        self._send(channel, question)
        self._expect(answer)

    def _send(self, channel: int, method: Any) -> None:
        self.socket.sendall(frame.marshal(method, channel))

    def _expect(self, kind: type) -> None:
        while len(self._got) < HEAD_BYTES:
            self._receive()
        while len(self._got) < HEAD_BYTES + int.from_bytes(self._got[3:7], "big") + 1:
            self._receive()
        size, _, method = frame.unmarshal(self._got)
        self._got = self._got[size:]
        assert isinstance(method, kind), f"the broker answers {method}"

    def _receive(self) -> None:
        part = self.socket.recv(1 << 18)
        assert part, "the broker has closed the connection"
        self._got += part


def rate(
    port: int, run: str, *, connections: int, in_flight: int, seconds: float, ready: int
) -> tuple[int, float]:
    """Return records confirmed, and in how many seconds.

    `in_flight` messages wait for their confirm on each of so many connections.
    """
    done = 0
    publishers = [Publisher(port, f"bench-{run}") for _ in range(connections)]
    messages = [publishers[0].message(RECORD % (run, one, one)) for one in range(ready)]
    messages.reverse()
    with selectors.DefaultSelector() as selector:
        for publisher in publishers:
            selector.register(publisher.socket, selectors.EVENT_READ, publisher)
        started = now = time.perf_counter()
        for publisher in publishers:
            publisher.publish([messages.pop() for _ in range(in_flight)])
        waiting = connections
        while waiting:
            for key, _ in selector.select():
                publisher = key.data
                confirmed = publisher.confirmed()
                done += confirmed
                if now < started + seconds and len(messages) >= confirmed:
                    publisher.publish([messages.pop() for _ in range(confirmed)])
                elif not publisher.waiting:
                    waiting -= 1
            now = time.perf_counter()
    publishers[0].delete_queue()
    for publisher in publishers:
        publisher.socket.close()
    return done, now - started


def aio_pika_rate(port: int, run: str, *, in_flight: int, seconds: float) -> tuple[int, float]:
    """Return records confirmed, and in how many seconds, by the library that applications use."""
    return asyncio.run(_aio_pika_rate(port, f"bench-{run}", in_flight, seconds))


async def _aio_pika_rate(port: int, name: str, tasks: int, seconds: float) -> tuple[int, float]:
    async with await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{port}/") as connection:
        channel = await connection.channel()
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        started = time.perf_counter()
        done = 0

        async def publish(task: int) -> None:
            nonlocal done
            number = 0
            while time.perf_counter() < started + seconds:
                text = RECORD % (f"{name}-{task}", number, number)
                message = aio_pika.Message(
                    text.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                )
                await channel.default_exchange.publish(message, name)
                number += 1
                done += 1

        await asyncio.gather(*(publish(task) for task in range(tasks)))
        took = time.perf_counter() - started
        await channel.queue_delete(name)
        return done, took


def elsewhere(**arguments: object) -> Any:
    """Call `rate` or `aio_pika_rate` in a process of its own."""
    command = [sys.executable, "-m", "kit.amqp", json.dumps(arguments)]
    folder = __file__.rpartition("/kit/")[0]
    answer = subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return json.loads(answer.stdout)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps({"raw": rate, "aio_pika": aio_pika_rate}[given.pop("what")](**given)))
