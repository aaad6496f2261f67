"""A load generator that costs little: raw keep-alive sockets, requests made beforehand."""

import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

BEARER = "a-token"
RECORD = (
    '{"source":"https://shop.example/branch/7","id":"%s-%08d","model":"laundry",'
    '"subject_id":"task-%08d","predicted":"good","final":"defect","corrected":true,'
    '"actor":"kim","reason":"the stain on the left sleeve is still there",'
    '"occurred_at":"2026-05-01T10:00:00+09:00",'
    '"payload":"burnish:sha256:' + "ab" * 32 + '"}'
)
HEAD = (
    "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " + BEARER + "\r\n"
    "content-type: %s\r\ncontent-length: %d\r\n\r\n"
)
END = b"\r\n\r\n"
LENGTH = b"content-length: "


def request(run: str, number: int, batch: int) -> bytes:
    """Return the bytes of one request, of one record or of a batch of them."""
    if batch == 1:
        body = RECORD % (run, number, number)
        return (HEAD % ("/v1/feedback", "application/json", len(body)) + body).encode()
    numbers = range(number * batch, (number + 1) * batch)
    body = "\n".join(RECORD % (run, one, one) for one in numbers)
    return (HEAD % ("/v1/feedback/batch", "application/x-ndjson", len(body)) + body).encode()


class Client:
    """One connection, one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answered(self) -> bool:
        """Take in what has come; tell whether the answer is whole. It must be a success."""
        part = self.socket.recv(1 << 18)
        assert part, "the server has closed the connection"
        self._got += part
        end = self._got.find(END)
        if end < 0:
            return False
        at = self._got.find(LENGTH)
        length = int(self._got[at + len(LENGTH) : self._got.find(b"\r\n", at)])
        if len(self._got) < end + len(END) + length:
            return False
        assert self._got[9:10] == b"2", self._got[:600]
        self._got = b""
        return True


def rate(
    port: int, run: str, *, batch: int, clients: int, seconds: float, ready: int
) -> tuple[int, float]:
    """Return records acknowledged, and in how many seconds, with so many requests in flight."""
    requests = iter([request(run, number, batch) for number in range(ready)])
    done, elapsed = flood(port, requests, clients=clients, seconds=seconds)
    return done * batch, elapsed


def flood(
    port: int, requests: Iterator[bytes], *, clients: int, seconds: float
) -> tuple[int, float]:
    """Send until the time or the requests are over; return answers, and the seconds they took."""
    done = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            client = Client(port)
            selector.register(client.socket, selectors.EVENT_READ, client)
        started = time.perf_counter()
        waiting = 0
        for key in selector.get_map().values():
            key.data.send(next(requests))
            waiting += 1
        now = started
        while waiting:
            for key, _ in selector.select():
                if key.data.answered():
                    done += 1
                    waiting -= 1
                    data = None if now > started + seconds else next(requests, None)
                    if data is not None:
                        key.data.send(data)
                        waiting += 1
            now = time.perf_counter()
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return done, now - started


def idle(port: int, run: str, *, count: int) -> float:
    """Return the median seconds from a record's sending to its answer, one after another."""
    client = Client(port)
    took = []
    for number in range(count):
        data = request(run, number, 1)
        started = time.perf_counter()
        client.send(data)
        while not client.answered():
            pass
        took.append(time.perf_counter() - started)
    client.socket.close()
    return statistics.median(took)


def elsewhere(**arguments: object) -> Any:
    """Call `rate` or `idle` in a process of its own."""
    command = [sys.executable, __file__, json.dumps(arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps({"rate": rate, "idle": idle}[given.pop("what")](**given)))
