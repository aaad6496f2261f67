"""Requests and responses over raw ASGI: bounded bodies, JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from burnish.inference.errors import Saturated, TooLarge, TooSlow

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON: Final = b"application/json"
BODY_SECONDS: Final = 30.0  # for the whole body to arrive; a slower client is cut off


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody hears an answer."""


class Response(Struct, frozen=True, kw_only=True):
    """An answer, and what metrics say about it."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    version: str = ""  # of the model that answered

    async def send(self, send: Send, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Write the answer."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
            *extra,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(document: object, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(status=status, body=msgspec.json.encode(document))


class Request(Struct, frozen=True, kw_only=True):
    """A request whose body has not been read yet."""

    method: str
    path: tuple[str, ...]  # the segments, decoded
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    receive: Receive

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> "Request":
        """Take a request from the server."""
        return cls(
            method=scope["method"],
            path=tuple(scope["path"].strip("/").split("/")),
            headers=dict(scope["headers"]),
            receive=receive,
        )

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower case; empty if none is given."""
        return (
            self.headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
        )


class Bodies:
    """Reads bodies, each of at most `each` bytes, all being handled together at most `together`."""

    def __init__(self, *, each: int, together: int) -> None:
        self._each = each
        self._together = together
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """Return the body. Give its length back with `drop` when it is no longer needed.

        Raises TooLarge, TooSlow, Saturated or ClientGone, and then holds nothing.
        """
        declared = request.headers.get(b"content-length", b"0")
        if int(declared) > self._each:  # the server lets only digits through
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    part, more = await _part(request.receive)
                    parts.append(part)
                    size += len(part)
                    self._held += len(part)
                    self._check(size)
        except BaseException as error:
            self._held -= size
            if isinstance(error, TimeoutError):
                raise TooSlow(f"The body took longer than {BODY_SECONDS:.0f} s.") from None
            raise
        return b"".join(parts)

    def drop(self, body: bytes) -> None:
        """Forget a body that was read."""
        self._held -= len(body)

    def _check(self, size: int) -> None:
        if size > self._each:
            raise self._too_large()
        if self._held > self._together:
            raise Saturated("Too many bytes are being received: try again.", retry_after=1)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is too large: send at most {self._each} bytes.", limit=self._each
        )


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)
