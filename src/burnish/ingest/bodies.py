"""Bodies of requests: read as they arrive, with caps, and counted while they are in memory."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from burnish.feedback.model import Backpressure
from burnish.ingest.encodings import Expand
from burnish.kernel.errors import InvalidInput

_TURN_BYTES: Final = 256 << 10  # of expanding, or so many pieces: then others have their turn
_TURN_PIECES: Final = 1000
_RETRY_S: Final = 1  # what is in flight has left within moments


class TooLarge(InvalidInput):
    """The body is longer than this route takes."""

    code = "request.too_large"


class Gone(Exception):
    """The client has left; nobody waits for an answer."""


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
        """Return a request's share, to be entered or ended: that gives all of it back."""
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
        self.end()

    def end(self) -> None:
        """Give all of it back."""
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


class Body:
    """What has arrived of a body and is not read yet, between a connection and one reader.

    Args:
        wanted: called when the reader has nothing left and waits for more.
    """

    def __init__(self, wanted: Callable[[], None]) -> None:
        self._wanted = wanted
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self.size = 0  # bytes that wait for the reader
        self.ended = False  # whether all of it has arrived

    @classmethod
    def of(cls, data: bytes) -> "Body":
        """Return one that has arrived."""
        body = cls(_nothing)
        body._parts.append(data)
        body.size, body.ended = len(data), True
        return body

    def arrived(self, part: bytes) -> None:
        """Add bytes."""
        self._parts.append(part)
        self.size += len(part)
        self._wake()

    def end(self) -> None:
        """Note that all of it has arrived."""
        self.ended = True
        self._wake()

    def lose(self) -> None:
        """Note that no more of it will come."""
        self._lost = True
        self._wake()

    async def next(self) -> bytes:
        """Return what has arrived since the last call, waiting for it; nothing at its end.

        Raises Gone if the client has left.
        """
        while not (self._parts or self.ended or self._lost):
            self._waiter = asyncio.get_running_loop().create_future()
            self._wanted()
            await self._waiter
        if self._lost and not self.ended:
            raise Gone
        return self._taken()

    async def whole(self, hold: Hold, *, cap: int) -> bytes:
        """Return all of it, counted. Raises TooLarge, Backpressure, Gone."""
        parts: list[bytes] = []
        size = 0
        while True:
            part = await self.next()
            size += len(part)
            if size > cap:
                raise too_large(cap)
            hold.take(len(part))
            parts.append(part)
            if self.ended:
                return b"".join(parts)

    def whole_now(self, hold: Hold, *, cap: int) -> bytes:
        """Return all of it, counted, once it has ended. Raises TooLarge, Backpressure."""
        if self.size > cap:
            raise too_large(cap)
        hold.take(self.size)
        return self._joined()

    def _taken(self) -> bytes:
        data, self._parts, self.size = self._joined(), [], 0
        return data

    def _joined(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def expanded(body: bytes, expand: Expand, hold: Hold, *, cap: int) -> bytes:
    """Return a compressed body as it was, its bytes counted in place of the compressed ones.

    Raises:
        TooLarge: it would have more than `cap` bytes.
        Unreadable: it is not compressed so, or not to its end.
        Backpressure: other requests leave no room for it.
    """
    parts: list[bytes] = []
    size = turn = 0
    for number, part in enumerate(expand(body), 1):
        size += len(part)
        if size > cap:
            raise too_large(cap, "expanded body")
        hold.take(len(part))
        parts.append(part)
        if size - turn > _TURN_BYTES or number % _TURN_PIECES == 0:
            turn = size
            await asyncio.sleep(0)
    hold.drop(len(body))
    return b"".join(parts)


def too_large(cap: int, noun: str = "body") -> TooLarge:
    """Return the error for a body beyond its cap, in bytes."""
    return TooLarge(f"The {noun} has more than {cap} bytes: send less at a time.", limit=cap)


def _nothing() -> None:
    """Ask for no more, since all is there."""
