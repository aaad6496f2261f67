"""HTTP/1.1 as clients of all manners speak it, against connections that really listen."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.ingest.bodies import Gone, InFlight
from burnish.ingest.connections import Connections, Respond
from burnish.ingest.http import Answer, Request, problem_answer
from burnish.kernel.errors import BurnishError

CAP: Final = 1 << 20
DEADLINE_S: Final = 0.6  # for headers
WAIT_S: Final = 20
STALL_S: Final = 0.02
END: Final = b"\r\n\r\n"


@dataclass
class House:
    """A server that echoes bodies; what begins with "wait" is answered once it is told to."""

    most: int = 100
    port: int = 0
    seen: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[Answer | None]] = field(default_factory=set)
    told: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], None] = lambda: None
    drained: bool | None = None

    def answer(self, request: Request, respond: Respond) -> None:
        task = asyncio.get_running_loop().create_task(self.answered(request))
        self.tasks.add(task)
        task.add_done_callback(lambda task: respond(task.result()))

    async def answered(self, request: Request) -> Answer | None:
        head = request.head
        said = head.header(b"x-say")
        self.seen.append(f"{head.method} {head.path}" + (f" {said}" if said else ""))
        try:
            with InFlight(CAP).hold() as hold:
                body = await request.body(hold, cap=CAP, deadline_s=5.0)
        except Gone:
            return None
        except BurnishError as error:
            await request.discard()
            return problem_answer(error, "trace")
        if body.startswith(b"wait"):
            await asyncio.to_thread(self.told.wait, WAIT_S)
        if body == b"stall":
            time.sleep(STALL_S)  # noqa: ASYNC251 - the loop is to stand still
        if body.startswith(b"many"):
            body = b"x" * (8 << 20)
        return Answer(200, body, "text/plain")

    async def serve(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        connections = Connections(
            self.answer, new_trace_id=lambda: "trace", deadline_s=DEADLINE_S, most=self.most
        )
        server = await loop.create_server(connections, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.stop = lambda: loop.call_soon_threadsafe(stopped.set)
        watching = asyncio.create_task(connections.watch())
        self.ready.set()
        await stopped.wait()
        server.close()
        self.drained = await connections.drain(WAIT_S)
        watching.cancel()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve())


@pytest.fixture(name="make_house")
def _make_house() -> Iterator[Callable[..., House]]:
    made: list[tuple[House, threading.Thread]] = []

    def make(most: int = 100) -> House:
        house = House(most=most)
        thread = threading.Thread(target=house.run)
        thread.start()
        assert house.ready.wait(WAIT_S)
        made.append((house, thread))
        return house

    yield make
    for house, thread in made:
        house.told.set()
        if thread.is_alive():
            house.stop()
        thread.join(WAIT_S)
        assert house.drained


@pytest.fixture(name="house")
def _house(make_house: Callable[..., House]) -> House:
    return make_house()


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A socket, and answers read from it one by one."""

    def __init__(self, house: House) -> None:
        self.socket = socket.create_connection(("127.0.0.1", house.port), timeout=WAIT_S)
        self._got = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        while end not in self._got:
            part = self.socket.recv(1 << 16)
            assert part, f"it ended after {self._got!r}"
            self._got += part
        found, _, self._got = self._got.partition(end)
        return found + end

    def reply(self, *, bare: bool = False) -> Reply:
        first, *lines = self.until(END).decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        size = 0 if bare else int(headers.get("content-length", "0"))
        while len(self._got) < size:
            self._got += self.socket.recv(1 << 16)
        body, self._got = self._got[:size], self._got[size:]
        return Reply(int(first.split()[1]), headers, body)

    def is_ended(self) -> bool:
        """Whether the other side closes, and says nothing before it does."""
        try:
            return self._got == b"" and self.socket.recv(100) == b""
        except ConnectionResetError:
            return True


def post(body: bytes, *headers: str, path: str = "/") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + END + body


def test_one_connection_carries_many_requests(house: House) -> None:
    with Client(house) as client:
        for number in range(3):
            client.send(post(b"%d" % number))
            reply = client.reply()
            assert (reply.status, reply.body) == (200, b"%d" % number)
            assert reply.headers["date"].endswith(" GMT")


def test_requests_sent_ahead_are_answered_in_their_order(house: House) -> None:
    with Client(house) as client:
        client.send(b"".join(post(b"wait %d" % number) for number in range(20)))
        client.send(post(b"last"))
        house.told.set()
        found = [client.reply().body for _ in range(21)]
        assert found == [*(b"wait %d" % number for number in range(20)), b"last"]


def test_a_head_that_comes_again_says_what_it_said(house: House) -> None:
    bodies = [b"one" + END, END + b"two", b"three!!"]
    with Client(house) as client:
        for _ in range(3):
            for body in bodies:
                for word in ("left", "rite"):
                    client.send(post(body, f"x-say: {word}"))
                    assert client.reply().body == body
    assert house.seen == ["POST / left", "POST / rite"] * 9


def test_a_head_that_came_before_may_come_in_pieces_or_with_the_next_request(house: House) -> None:
    data = post(b"again")
    with Client(house) as client:
        client.send(data)
        assert client.reply().body == b"again"
        for end in (5, data.find(END) + 2, len(data) - 2):
            client.send(data[:end])
            time.sleep(STALL_S)
            client.send(data[end:])
            assert client.reply().body == b"again"
        client.send(data + data + data[:5])
        client.send(data[5:])
        assert [client.reply().body for _ in range(3)] == [b"again"] * 3


def test_after_a_last_request_none_is_taken_even_if_its_head_is_known(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"known"))
        client.reply()
        client.send(post(b"wait", "connection: close"))
        client.send(post(b"known"))
        house.told.set()
        assert client.reply().body == b"wait"
        assert client.is_ended()
    assert len(house.seen) == 2


@settings(max_examples=60)
@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 400), max_size=20),
    chunked=st.booleans(),
)
def test_bytes_may_come_in_any_pieces(
    shared: House, bodies: list[bytes], cuts: list[int], chunked: bool
) -> None:
    requests = [chunks(body) if chunked else post(body) for body in bodies]
    data = b"".join(requests)
    expected = [b"x" * (8 << 20) if one.startswith(b"many") else one for one in bodies]
    with Client(shared) as client:
        for cut in cuts:
            client.send(data[:cut])
            data = data[cut:]
        client.send(data)
        assert [client.reply().body for _ in bodies] == expected
        for request, body in zip(requests * 2, expected * 2, strict=True):  # each in one piece
            client.send(request)
            assert client.reply().body == body


@pytest.fixture(name="shared", scope="module")
def _shared() -> Iterator[House]:
    house = House()
    house.told.set()
    thread = threading.Thread(target=house.run)
    thread.start()
    assert house.ready.wait(WAIT_S)
    yield house
    house.stop()
    thread.join(WAIT_S)


def chunks(body: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    parts = [body[at : at + 7] for at in range(0, len(body), 7)]
    lines = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
    return head + b"".join(lines) + b"0\r\nx-trailer: is no header\r\n\r\n"


def test_a_long_body_is_no_long_head_in_whatever_pieces_it_comes(house: House) -> None:
    with Client(house) as client, Client(house) as other:
        for size in range(300_000, 1_000_000, 70_000):
            client.send(post(b"y" * size))
            assert client.reply().body == b"y" * size
        for _ in range(20):  # until the system lets as much wait, and all is read in one piece
            other.send(post(b"stall"))
            client.send(post(b"y" * 150_000))
            assert client.reply().body == b"y" * 150_000
            assert other.reply().body == b"stall"


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(house: House) -> None:
    with Client(house) as client:
        head, _, body = post(b"hello", "Expect: 100-Continue").partition(END)
        client.send(head + END)
        assert client.until(END) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        assert client.reply().body == b"hello"


def test_a_client_that_asks_to_send_too_much_is_refused_before_it_does(house: House) -> None:
    with Client(house) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n")
        client.send(b"content-length: 9999999\r\n\r\n")
        reply = client.reply()
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert client.is_ended()


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", False),
    ],
    ids=["close", "1.0", "1.0-keep-alive", "upgrade"],
)
def test_the_connection_ends_when_its_client_wants_it_to(
    house: House, head: bytes, closes: bool
) -> None:
    with Client(house) as client:
        client.send(head)
        reply = client.reply()
        assert reply.status == 200
        assert (reply.headers.get("connection") == "close") == closes
        if closes:
            assert client.is_ended()
        else:
            client.send(post(b"more"))
            assert client.reply().body == b"more"


def test_a_target_may_name_its_host(house: House) -> None:
    with Client(house) as client:
        client.send(b"GET http://elsewhere/a/b?c=d HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.reply().status == 200
    assert house.seen == ["GET /a/b"]


def test_head_is_answered_without_a_body(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"hello").replace(b"POST", b"HEAD"))
        assert client.reply(bare=True).headers["content-length"] == "5"
        client.send(post(b"next"))
        assert client.reply().body == b"next"


def test_a_client_that_sends_no_more_still_gets_its_answer(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"wait for me") + post(b"and for me"))
        client.socket.shutdown(socket.SHUT_WR)
        house.told.set()
        assert client.reply().body == b"wait for me"
        assert client.reply().body == b"and for me"
        assert client.is_ended()


def test_a_client_that_leaves_in_the_middle_of_its_body_gets_none(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"half of it")[:-3])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_ended()


@pytest.mark.parametrize("cut", [None, 40, -3])
def test_a_client_that_offers_another_protocol_is_answered_in_this_one(
    house: House, cut: int | None
) -> None:
    offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAA")
    data = post(b"hello", *offer)
    with Client(house) as client:
        client.send(data[:cut])
        time.sleep(STALL_S)
        client.send(data[len(data[:cut]) :] + post(b"more", *offer) + post(b"and more"))
        assert [client.reply().body for _ in range(3)] == [b"hello", b"more", b"and more"]


def test_a_blank_line_between_requests_is_no_request(house: House) -> None:
    with Client(house) as client:
        for body in (b"one", b"two"):
            client.send(post(body))
            assert client.reply().body == body
            client.send(END)
            time.sleep(STALL_S)
    assert len(house.seen) == 2


def test_trailers_are_capped_as_headers_are(house: House) -> None:
    with Client(house) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"2\r\nhi\r\n0\r\nx: " + b"y" * 400_000)
        assert client.reply().status == 431
        assert client.is_ended()


def test_a_length_may_begin_with_zeros(house: House) -> None:
    with Client(house) as client:
        client.send(b"POST / HTTP/1.1\r\ncontent-length: " + b"0" * 5000 + b"2\r\n\r\nhi")
        assert client.reply().body == b"hi"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"hello\r\n\r\n", 501, "request.method_unknown"),
        (b"BREW / HTTP/1.1\r\n\r\n", 501, "request.method_unknown"),
        (b"GET / HTTP/9.1\r\n\r\n", 400, "request.unreadable"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "request.unreadable"),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400, "request.unreadable"),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
            "request.unreadable",
        ),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400, "request.unreadable"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 400_000, 431, "request.head_too_large"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501, "request.method_unknown"),
    ],
    ids=["word", "brew", "version", "colon", "length", "both", "chunk", "head", "tls"],
)
def test_what_is_no_request_is_told_so_and_ends(
    house: House, data: bytes, status: int, code: str
) -> None:
    with Client(house) as client:
        client.send(post(b"first"))
        assert client.reply().body == b"first"
        client.send(data)
        reply = client.reply()
        assert (reply.status, json.loads(reply.body)["code"]) == (status, code)
        assert reply.headers["connection"] == "close"
        assert client.is_ended()


def test_requests_before_something_unreadable_are_answered(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"wait") + post(b"too") + b"nonsense\r\n\r\n")
        house.told.set()
        assert client.reply().body == b"wait"
        assert client.reply().body == b"too"
        assert client.is_ended()


def test_more_connections_than_may_be_are_told_to_come_back(
    make_house: Callable[..., House],
) -> None:
    house = make_house(most=2)
    with Client(house) as one, Client(house) as other:
        for client in (one, other):
            client.send(post(b"here"))
            assert client.reply().body == b"here"
        with Client(house) as late:
            reply = late.reply()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert late.is_ended()
        one.send(post(b"still here"))
        assert one.reply().body == b"still here"


def test_a_client_that_does_not_read_its_answer_is_cut_off(house: House) -> None:
    with Client(house) as client:
        client.send(post(b"many"))
        client.until(END)
        threading.Event().wait(4 * DEADLINE_S)
        got = 0
        while part := client.socket.recv(1 << 20):
            got += len(part)
        assert got < 8 << 20


def test_draining_answers_what_is_under_way_and_closes_what_is_idle(house: House) -> None:
    with Client(house) as busy, Client(house) as idle:
        idle.send(post(b"idle"))
        assert idle.reply().body == b"idle"
        busy.send(post(b"wait"))
        while "POST /" not in house.seen[1:]:
            threading.Event().wait(0.005)
        house.stop()
        assert idle.is_ended()
        house.told.set()
        reply = busy.reply()
        assert (reply.body, reply.headers["connection"]) == (b"wait", "close")
        assert busy.is_ended()
