"""The front's side of HTTP/1.1: connections, their deadlines, and one request of each at a time.

llhttp parses (through httptools); what is here decides how long a client may take, how much it may
send before somebody reads it, and when the connection ends. A server library between the two would
cost more than the whole work on a record (decision 0030).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, Protocol, cast

import httptools

from burnish.ingest.bodies import Body
from burnish.ingest.heads import Head, Heads
from burnish.ingest.http import Answer, Request, problem_answer
from burnish.kernel.errors import BurnishError, Unavailable, Unreadable

_HEAD_BYTES: Final = 64 << 10  # of a request line and its headers
_AHEAD_BYTES: Final = 64 << 10  # of a body that nobody reads; then the client has to wait
_LOOK_S: Final = 0.25  # how often deadlines are looked at
_RETRY_S: Final = 1
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Respond = Callable[[Answer | None], None]  # None: nobody waits for an answer


class NoRequest(Unreadable):
    """What came is no HTTP/1.1."""

    code = "request.unreadable"


class MethodUnknown(Unreadable):
    """HTTP has no such method, as far as we know."""

    code = "request.method_unknown"


class HeadTooLarge(Unreadable):
    """The headers are longer than anybody needs."""

    code = "request.head_too_large"


class Crowded(Unavailable):
    """As many connections are open as may be."""

    code = "request.crowded"


class Answering(Protocol):
    """What a front does with a request."""

    def __call__(self, request: Request, respond: Respond) -> None:
        """Begin to answer it; `respond` is called later, once, in the loop's thread."""
        ...


class Connections:
    """All connections of a front; calling it makes one, as an event loop's server wants it.

    Args:
        answer: answers a request.
        new_trace_id: makes one for what is no request.
        deadline_s: seconds that a client may take for its headers, from the moment when it connects
            or has its last answer: an idle connection ends as a slow one does.
        most: connections open at once.
    """

    def __init__(
        self,
        answer: Answering,
        *,
        new_trace_id: Callable[[], str],
        deadline_s: float,
        most: int,
    ) -> None:
        self.answer = answer
        self.deadline_s = deadline_s
        self.date = b""
        self.heads = Heads()
        self.open: set[Connection] = set()
        self._new_trace_id = new_trace_id
        self._most = most
        self._draining = False
        self._one_ended = asyncio.Event()
        self._tell_time()

    def __call__(self) -> "Connection":
        """Return a new one, not yet connected."""
        return Connection(self)

    @property
    def are_too_many(self) -> bool:
        """Whether no more are taken."""
        return self._draining or len(self.open) >= self._most

    def problem(self, error: BurnishError) -> Answer:
        """Return the answer to what is no request."""
        return problem_answer(error, self._new_trace_id())

    async def watch(self) -> None:
        """Close the connections whose time is up, until this is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._tell_time()
            now = asyncio.get_running_loop().time()
            for connection in list(self.open):
                connection.look(now)

    async def drain(self, seconds: float) -> bool:
        """Close each once it has its answer; tell whether all had it in time."""
        self._draining = True
        for connection in list(self.open):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.open:
                    self._one_ended.clear()
                    await self._one_ended.wait()
        late = list(self.open)
        for connection in late:
            connection.abort()
        return not late

    def ended(self, connection: "Connection") -> None:
        """Forget a connection that is no more."""
        self.open.discard(connection)
        self._one_ended.set()

    def _tell_time(self) -> None:
        self.date = formatdate(usegmt=True).encode()


class Connection(asyncio.Protocol):
    """One client, from its connecting to its end."""

    _transport: asyncio.Transport

    def __init__(self, house: Connections) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._deadline: float | None = None  # of the loop's time; for headers, or for our answer
        self._is_between = True  # no part of a request has come
        self._in_head = True
        self._head_bytes = 0  # that came since a head was whole, or a part of a body
        self._target = b""
        self._head: Head | None = None  # that came whole with the last bytes
        self._headers: list[tuple[bytes, bytes]] = []
        self._arriving: Request | None = None  # whose body is not all there
        self._current: Request | None = None  # which is being answered
        self._waiting: deque[Request] = deque()  # sent ahead of their turn
        self._last = False  # nothing that comes from now on is a request
        self._wrong: BurnishError | None = None  # with what came while that one is under way
        self._is_waited_for = False  # the client sends its body once we ask for it
        self._is_paused = self._is_write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._expect_head()
        too_many = self._house.are_too_many
        self._house.open.add(self)
        if too_many:
            detail = f"As many connections are open as may be: try again in {_RETRY_S} s."
            self._refuse(Crowded(detail, retry_after=_RETRY_S))

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget it; a request under way is finished, but answered to nobody."""
        self._house.ended(self)
        self._lose_body()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        if self._last and self._arriving is None:
            return
        wrong = self._take_in(data)
        if self._current is None and self._waiting:
            self._begin(self._waiting.popleft())
        self._set_reading()
        if wrong is not None:
            self._refuse(wrong)

    def eof_received(self) -> bool:
        """Note that the client sends no more; tell whether it may still get an answer."""
        self._last = True
        self._lose_body()
        return self._current is not None

    def pause_writing(self) -> None:
        """Read no more from a client that does not read."""
        self._is_write_paused = True
        self._set_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_write_paused = False
        self._set_reading()

    def on_message_begin(self) -> None:
        """Forget the last request's head (called by the parser, as all `on_`)."""
        self._is_between = False
        self._target, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """Note a part of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; what comes after a chunked body is none."""
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request, or let it wait for its turn."""
        head = Head(
            self._parser.get_method().decode("latin-1"),
            self._target,
            self._headers,
            keep_alive=self._parser.should_keep_alive(),
        )
        self._head = head
        self._in_head, self._head_bytes = False, 0
        self._is_waited_for = head.waits
        self._arriving = Request(head, Body(self._wanted))
        self._waiting.append(self._arriving)

    def on_body(self, part: bytes) -> None:
        """Hand on a part of the body."""
        self._head_bytes = 0
        if self._arriving is not None:
            self._arriving.incoming.arrived(part)
            if self._arriving.incoming.size > _AHEAD_BYTES:
                self._set_reading()

    def on_message_complete(self) -> None:
        """End the body."""
        if self._arriving is not None:
            self._arriving.incoming.end()
        self._arriving, self._in_head, self._is_between, self._head_bytes = None, True, True, 0

    def look(self, now: float) -> None:
        """End it if its time is up."""
        if self._deadline is not None and now > self._deadline:
            self.abort()

    def drain(self) -> None:
        """End it once the current request, if there is one, has its answer."""
        self._last = True
        self._waiting.clear()
        if self._current is None:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def _take_in(self, data: bytes) -> BurnishError | None:
        """Let requests wait for their turn, as they come; return what is wrong with the last."""
        between = self._is_between
        if between and (found := self._house.heads.find(data)) is not None:
            self._waiting.append(Request(found[0], Body.of(found[1])))
            return None
        self._count(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            return MethodUnknown("The request begins with no method of HTTP that we know.")
        except httptools.HttpParserError as error:
            return NoRequest(f"This is no HTTP/1.1 request: {error}.")
        else:
            if self._head_bytes > _HEAD_BYTES:
                detail = f"The headers have more than {_HEAD_BYTES} bytes: send fewer."
                return HeadTooLarge(detail, limit=_HEAD_BYTES)
            if between and self._is_between and self._head is not None:
                self._house.heads.learn(data, self._head)
        return None

    def _count(self, size: int) -> None:
        """Take bytes for a part of a head, or of trailers, until the parser finds more in them."""
        self._head = None
        self._head_bytes += size

    def _without_upgrade(self, rest: bytes) -> BurnishError | None:
        """Read a request again without its offer of another protocol, which we do not speak.

        The parser takes what follows its head for that protocol; it is the request's body.
        """
        if self._head is None or self._head.method == "CONNECT":  # that is no offer
            self._last = True
            return None
        self._waiting.pop()
        lines = [b"%b %b HTTP/1.1" % (self._head.method.encode(), self._target)]
        lines += [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        return self._take_in(b"\r\n".join((*lines, b"", rest)))

    def _begin(self, request: Request) -> None:
        self._current, self._deadline = request, None
        self._house.answer(request, self._respond)

    def _respond(self, answer: Answer | None) -> None:
        request = self._current
        if request is None:
            raise AssertionError("a request is answered once")
        if answer is None and self._wrong is not None:
            answer = self._house.problem(self._wrong)
        self._current = None
        if self._transport.is_closing():
            return
        if answer is None:
            self._transport.abort()
            return
        is_over = self._last and not self._waiting
        last = is_over or not (request.head.keep_alive and request.incoming.ended)
        self._write(answer, last=last, bare=request.head.method == "HEAD")
        if not last and self._waiting:
            self._begin(self._waiting.popleft())
        self._set_reading()

    def _write(self, answer: Answer, *, last: bool, bare: bool = False) -> None:
        self._transport.write(answer.encode(date=self._house.date, last=last, bare=bare))
        self._expect_head()
        if last:
            self._last = True
            self._transport.close()

    def _expect_head(self) -> None:
        self._deadline = self._loop.time() + self._house.deadline_s

    def _refuse(self, error: BurnishError) -> None:
        """Answer what is no request, and end; an earlier request gets its answer first."""
        self._last, self._wrong = True, error
        self._lose_body()
        if self._current is None and not self._transport.is_closing():
            self._write(self._house.problem(error), last=True)

    def _lose_body(self) -> None:
        if self._arriving is not None:
            self._arriving.incoming.lose()
            self._arriving = None

    def _wanted(self) -> None:
        """Read on, for a body whose reader waits."""
        if self._is_waited_for and not self._transport.is_closing():
            self._is_waited_for = False
            self._transport.write(_CONTINUE)
        self._set_reading()

    def _set_reading(self) -> None:
        """Read if somebody has use for what comes."""
        ahead = self._arriving is not None and self._arriving.incoming.size > _AHEAD_BYTES
        pause = self._is_write_paused or bool(self._waiting) or ahead
        if pause != self._is_paused and not self._transport.is_closing():
            self._is_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
