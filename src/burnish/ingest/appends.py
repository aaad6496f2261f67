"""Records on their way into the log, all of one turn of the event loop together.

Waking the committer costs more than appending a record, and two threads that both have work take
the interpreter from each other at every system call: so all that came at once makes one call.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from burnish.feedback.model import Incoming, Receipt
from burnish.feedback.ports import FeedbackLog, Receipts
from burnish.kernel.errors import BurnishError

_log = structlog.get_logger("burnish.ingest")

_CALL_BYTES: Final = 4 << 20  # of bodies in one call, or one request: it is one write


class _Append(Struct):
    """What one request wants to append."""

    records: Sequence[Incoming]
    done: Callable[[Receipts], None]


class Appends:
    """Appends to a log, for one event loop."""

    def __init__(self, log: FeedbackLog) -> None:
        self._log = log
        self._turn: list[_Append] = []
        self._bytes = 0

    def add(self, records: Sequence[Incoming], done: Callable[[Receipts], None]) -> None:
        """Append records, and call `done` in the loop's thread, as the log's port says."""
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn.append(_Append(records, done))
        for record in records:
            self._bytes += len(record.body)
        if self._bytes >= _CALL_BYTES:
            self._flush()

    async def append(self, records: Sequence[Incoming]) -> Sequence[Receipt]:
        """Return a receipt per record once they are durable. Raises Backpressure, Unavailable."""
        future: asyncio.Future[Receipts] = asyncio.get_running_loop().create_future()

        def done(receipts: Receipts) -> None:
            if not future.done():  # its client may have left
                future.set_result(receipts)

        self.add(records, done)
        receipts = await future
        if isinstance(receipts, BurnishError):
            raise receipts
        return receipts

    def _flush(self) -> None:
        turn, self._turn, self._bytes = self._turn, [], 0
        if not turn:
            return
        loop, here = asyncio.get_running_loop(), threading.get_ident()
        given: list[Receipts] = []

        def done(receipts: Receipts) -> None:
            if threading.get_ident() == here:
                given.append(receipts)
            else:
                loop.call_soon_threadsafe(_tell, turn, receipts)

        try:
            self._log.append([record for one in turn for record in one.records], done)
        except BurnishError as error:
            loop.call_soon(_tell, turn, error)
        for receipts in given:
            _tell(turn, receipts)


def _tell(turn: Sequence[_Append], receipts: Receipts) -> None:
    position = 0
    for one in turn:
        first, position = position, position + len(one.records)
        try:
            one.done(receipts if isinstance(receipts, BurnishError) else receipts[first:position])
        except Exception:  # noqa: BLE001 - one's mistake concerns nobody else
            _log.exception("append.failed")
