"""Requests and answers over raw ASGI: bodies with caps and a deadline, answers as JSON."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from burnish import rim
from burnish.feedback.model import Backpressure
from burnish.ingest.encodings import ACCEPTED, Expand, UnknownEncoding
from burnish.kernel.errors import BurnishError, InvalidInput

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON: Final = "application/json"
_DISCARD_BYTES: Final = 128 << 20  # read beyond a cap, for the answer's sake
_DISCARD_S: Final = 5.0  # in all
_DISCARD_PAUSE_S: Final = 0.25  # whoever sends nothing for so long waits for our answer
_TURN_BYTES: Final = 256 << 10  # of expanding, then others have their turn
_RETRY_S: Final = 1  # what is in flight has left within moments
_NO_HEADERS: Final[Sequence[tuple[str, str]]] = ()


class TooLarge(InvalidInput):
    """The body is longer than this route takes."""

    code = "request.too_large"


class TooSlow(InvalidInput):
    """The body did not arrive in time."""

    code = "request.timeout"


class WrongMethod(InvalidInput):
    """The path exists, but not for this method; fact `allow` lists those that it has."""

    code = "request.method"


class Gone(Exception):
    """The client has left; nobody waits for an answer."""


class Answer(Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = _NO_HEADERS


def json_answer(status: int, document: object) -> Answer:
    """Return an answer with a JSON document."""
    return Answer(status, msgspec.json.encode(document))


def problem_answer(error: BurnishError, trace_id: str) -> Answer:
    """Return the problem document of an error, with the headers that its kind must have."""
    status, document = rim.problem(error)
    headers = []
    if (retry_after := error.facts.get("retry_after")) is not None:
        headers.append(("retry-after", str(retry_after)))
    if (allow := error.facts.get("allow")) is not None:
        headers.append(("allow", str(allow)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", "Bearer"))
    if isinstance(error, UnknownEncoding):
        headers.append(("accept-encoding", ACCEPTED))
    if isinstance(error, TooSlow):
        headers.append(("connection", "close"))
    body = msgspec.json.encode({**document, "trace_id": trace_id})
    return Answer(status, body, rim.MEDIA_TYPE, headers)


class InFlight:
    """How many bytes of bodies are in memory at once, against a cap.

    What counts is what has arrived, not what was announced: a slow client reserves nothing for the
    bytes that it keeps back. For one event loop.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes in memory now."""
        return self._held

    def hold(self) -> "Hold":
        """Return a request's share, to be entered; leaving it gives all of it back."""
        return Hold(self)

    def check(self, size: int) -> None:
        """Raise Backpressure if `size` more bytes have no room. Whoever is alone always has."""
        if self._held and self._held + size > self._cap:
            raise Backpressure(
                f"Requests of {self._held} bytes are being worked on, which is as much as may be: "
                f"try again in {_RETRY_S} s.",
                retry_after=_RETRY_S,
            )

    def change(self, size: int) -> None:
        """Add bytes, or take them back."""
        self._held += size


class Hold:
    """One request's bytes in flight."""

    def __init__(self, all_: InFlight) -> None:
        self._all = all_
        self._mine = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop(self._mine)

    def take(self, size: int) -> None:
        """Count bytes that have arrived. Raises Backpressure."""
        self._all.check(size)
        self._all.change(size)
        self._mine += size

    def drop(self, size: int) -> None:
        """Count bytes that are forgotten."""
        self._all.change(-size)
        self._mine -= size

    def expect(self, size: int) -> None:
        """Raise Backpressure if that many bytes, announced, have no room just now."""
        self._all.check(size)


class Request:
    """One HTTP request, its body not yet read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._query: bytes = scope.get("query_string", b"")
        self._receive = receive
        self._more = True  # of the body

    def parameter(self, name: str) -> str | None:
        """Return the first query parameter of a name."""
        query = self._query.decode("latin-1")
        return next((value for key, value in parse_qsl(query) if key == name), None)

    def header(self, name: bytes) -> str | None:
        """Return the first header of a lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    async def body(self, hold: Hold, *, cap: int, deadline_s: float) -> bytes:
        """Return the body as it came, compressed if it is.

        Args:
            hold: counts its bytes.
            cap: bytes that it may have.
            deadline_s: seconds that it may take.

        Raises:
            TooLarge: it has more, or says that it will.
            TooSlow: it takes longer.
            Backpressure: other requests leave no room for it.
            Gone: the client left before its end.
        """
        declared = self.header(b"content-length") or ""
        size = int(declared) if declared.isdecimal() else 0
        if size > cap:
            raise too_large(cap)
        hold.expect(size)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._read(hold, cap)
        except TimeoutError:
            raise TooSlow(f"The body did not arrive within {deadline_s:g} s.") from None

    async def discard(self) -> None:
        """Read what is left of the body, a while, and forget it.

        A client that is still sending when the connection closes never sees our answer; but one
        that asked before sending has not begun.
        """
        if self.header(b"expect") is not None:
            return
        left = _DISCARD_BYTES
        with contextlib.suppress(TimeoutError, Gone):
            async with asyncio.timeout(_DISCARD_S):
                while self._more and left > 0:
                    async with asyncio.timeout(_DISCARD_PAUSE_S):
                        left -= len(await self._next())

    async def _read(self, hold: Hold, cap: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while self._more:
            part = await self._next()
            size += len(part)
            if size > cap:
                raise too_large(cap)
            hold.take(len(part))
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self._more = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


async def expanded(body: bytes, expand: Expand, hold: Hold, *, cap: int) -> bytes:
    """Return a compressed body as it was, its bytes counted in place of the compressed ones.

    Raises:
        TooLarge: it would have more than `cap` bytes.
        Unreadable: it is not compressed so, or not to its end.
        Backpressure: other requests leave no room for it.
    """
    parts: list[bytes] = []
    size = turn = 0
    for part in expand(body):
        size += len(part)
        if size > cap:
            raise too_large(cap, "expanded body")
        hold.take(len(part))
        parts.append(part)
        if size - turn > _TURN_BYTES:
            turn = size
            await asyncio.sleep(0)
    hold.drop(len(body))
    return b"".join(parts)


def too_large(cap: int, noun: str = "body") -> TooLarge:
    """Return the error for a body beyond its cap, in bytes."""
    return TooLarge(f"The {noun} has more than {cap} bytes: send less at a time.", limit=cap)


async def respond(send: Send, answer: Answer) -> None:
    """Send an answer."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
