"""Requests and answers over raw ASGI: bodies with a cap and a deadline, answers as JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from burnish import rim
from burnish.kernel.errors import BurnishError, InvalidInput, Unreadable

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON: Final = "application/json"
_DISCARD_BYTES: Final = 32 << 20  # read beyond a cap, for the answer's sake
_NO_HEADERS: Final[Sequence[tuple[str, str]]] = ()


class TooLarge(InvalidInput):
    """The body is longer than this route takes."""

    code = "request.too_large"


class TooSlow(InvalidInput):
    """The body did not arrive in time."""

    code = "request.timeout"


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
    """Return the problem document of an error, with `Retry-After` where it says when."""
    status, document = rim.problem(error)
    retry_after = error.facts.get("retry_after")
    headers = [] if retry_after is None else [("retry-after", str(retry_after))]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", "Bearer"))
    body = msgspec.json.encode({**document, "trace_id": trace_id})
    return Answer(status, body, rim.MEDIA_TYPE, headers)


class Request:
    """One HTTP request, its body not yet read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._query: bytes = scope.get("query_string", b"")
        self._receive = receive

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

    async def body(self, *, cap: int, deadline_s: float) -> bytes:
        """Return the body.

        Args:
            cap: bytes that it may have.
            deadline_s: seconds that it may take.

        Raises:
            TooLarge: it has more, or says that it will.
            TooSlow: it takes longer.
            Unreadable: it is compressed, which this server does not read.
            Gone: the client left before its end.
        """
        encoding = self.header(b"content-encoding")
        if encoding not in {None, "identity"}:
            raise Unreadable.of("content-encoding", encoding, "send the body uncompressed")
        declared = self.header(b"content-length")
        too_large = declared is not None and declared.isdecimal() and int(declared) > cap
        try:
            async with asyncio.timeout(deadline_s):
                if too_large and self.header(b"expect") is not None:
                    raise self._too_large(cap)  # it asked before sending
                return await self._read(cap)
        except TimeoutError:
            raise TooSlow(f"The body did not arrive within {deadline_s:g} s.") from None

    async def _read(self, cap: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            size += len(part)
            if size > cap:
                # Read on a while and forget it: a client that is still sending when the connection
                # closes never sees our answer.
                parts.clear()
                if size > cap + _DISCARD_BYTES:
                    break
            else:
                parts.append(part)
            more = message.get("more_body", False)
        if size > cap:
            raise self._too_large(cap)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, cap: int) -> TooLarge:
        return TooLarge(f"The body has more than {cap} bytes: send less at a time.", limit=cap)


async def respond(send: Send, answer: Answer) -> None:
    """Send an answer."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
