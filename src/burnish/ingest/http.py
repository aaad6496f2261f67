"""Requests and answers of the front: HTTP/1.1 without a framework, answers as JSON."""

import asyncio
import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from burnish import rim
from burnish.ingest.bodies import Body, Gone, Hold, too_large
from burnish.ingest.encodings import ACCEPTED, UnknownEncoding
from burnish.ingest.heads import Head
from burnish.kernel.errors import BurnishError, InvalidInput

JSON: Final = "application/json"
_DISCARD_BYTES: Final = 128 << 20  # read beyond a cap, for the answer's sake
_DISCARD_S: Final = 5.0  # in all
_DISCARD_PAUSE_S: Final = 0.25  # whoever sends nothing for so long waits for our answer
_USUAL: Final = b"%bdate: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_NO_HEADERS: Final[Sequence[tuple[str, str]]] = ()
_STATUS: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class TooSlow(InvalidInput):
    """The body did not arrive in time."""

    code = "request.timeout"


class WrongMethod(InvalidInput):
    """The path exists, but not for this method; fact `allow` lists those that it has."""

    code = "request.method"


class Answer(Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = _NO_HEADERS

    def encode(self, *, date: bytes, last: bool, bare: bool) -> bytes:
        """Return it as it goes over the wire.

        Args:
            date: of now, as HTTP writes it.
            last: the connection closes after it.
            bare: without its body, as HEAD wants it.
        """
        if self.content_type == JSON and not (self.headers or last or bare):  # as nearly always
            return _USUAL % (_STATUS[self.status], date, len(self.body), self.body)
        lines = [_STATUS[self.status], b"date: ", date]
        if self.status != HTTPStatus.NO_CONTENT:
            head = "\r\ncontent-type: %s\r\ncontent-length: %d"
            lines.append((head % (self.content_type, len(self.body))).encode())
        lines += [f"\r\n{name}: {value}".encode("latin-1") for name, value in self.headers]
        if last:
            lines.append(b"\r\nconnection: close")
        lines += (b"\r\n\r\n", b"" if bare else self.body)
        return b"".join(lines)


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
    body = msgspec.json.encode({**document, "trace_id": trace_id})
    return Answer(status, body, rim.MEDIA_TYPE, headers)


class Request:
    """One HTTP request: its head, and of its body what has come."""

    def __init__(self, head: Head, incoming: Body) -> None:
        self.head = head
        self.incoming = incoming

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
        if self.incoming.ended:  # as nearly always; what is there needs no deadline
            return self.incoming.whole_now(hold, cap=cap)
        size = self.head.length or 0
        if size > cap:
            raise too_large(cap)
        hold.expect(size)
        try:
            async with asyncio.timeout(deadline_s):
                return await self.incoming.whole(hold, cap=cap)
        except TimeoutError:
            raise TooSlow(f"The body did not arrive within {deadline_s:g} s.") from None

    async def discard(self) -> None:
        """Read what is left of the body, a while, and forget it.

        A client that is still sending when the connection closes never sees our answer; but one
        that asked before sending has not begun.
        """
        if self.incoming.ended or self.head.waits:
            return
        left = _DISCARD_BYTES
        with contextlib.suppress(TimeoutError, Gone):
            async with asyncio.timeout(_DISCARD_S):
                while not self.incoming.ended and left > 0:
                    async with asyncio.timeout(_DISCARD_PAUSE_S):
                        left -= len(await self.incoming.next())
