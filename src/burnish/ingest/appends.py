"""Records on their way into the log, all of one turn of the event loop together.

Waking the committer costs more than appending a record, and two threads that both have work take
the interpreter from each other at every system call: so all that came at once makes one call.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from burnish.feedback.model import Incoming, Receipt
from burnish.feedback.ports import FeedbackLog, Receipts
from burnish.kernel.errors import BurnishError

_CALL_BYTES: Final = 4 << 20  # of bodies in one call, or one request: it is one write


class _Append(Struct):
    """What one request wants to append."""

    records: Sequence[Incoming]
    future: asyncio.Future[Sequence[Receipt]]


class Appends:
    """Appends to a log, for one event loop."""

    def __init__(self, log: FeedbackLog) -> None:
        self._log = log
        self._turn: list[_Append] = []
        self._bytes = 0

    async def append(self, records: Sequence[Incoming]) -> Sequence[Receipt]:
        """Return a receipt per record once they are durable. Raises Backpressure, Unavailable."""
        loop = asyncio.get_running_loop()
        one = _Append(records, loop.create_future())
        if not self._turn:
            loop.call_soon(self._flush)
        self._turn.append(one)
        self._bytes += sum(len(record.body) for record in records)
        if self._bytes >= _CALL_BYTES:
            self._flush()
        return await one.future

    def _flush(self) -> None:
        turn, self._turn, self._bytes = self._turn, [], 0
        if not turn:
            return
        loop = asyncio.get_running_loop()

        def done(receipts: Receipts) -> None:
            loop.call_soon_threadsafe(_tell, turn, receipts)

        try:
            self._log.append([record for one in turn for record in one.records], done)
        except BurnishError as error:
            _tell(turn, error)


def _tell(turn: Sequence[_Append], receipts: Receipts) -> None:
    position = 0
    for one in turn:
        first, position = position, position + len(one.records)
        if one.future.done():  # its client may have left
            continue
        if isinstance(receipts, BurnishError):
            one.future.set_exception(receipts)
        else:
            one.future.set_result(receipts[first:position])
