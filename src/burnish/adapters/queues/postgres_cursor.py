"""How far a PostgreSQL queue is taken into the spool, and how far it is persisted beyond it."""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self


class Place(NamedTuple):
    """A row's place in the order of reading."""

    txid: int  # of the transaction that inserted it
    id: int


START = Place(0, 0)


class Progress(Protocol):
    """What the cursor needs to know of the spool."""

    @property
    def shard(self) -> str:
        """Its name."""
        ...

    @property
    def end(self) -> int:
        """The first offset that is not yet taken."""
        ...

    @property
    def persisted_offset(self) -> int:
        """The first offset that is not yet in the raw log."""
        ...


class Cursor:
    """Two places in the queue; what lies before the second may be dropped.

    Reading resumes at `taken` only if this spool still holds what was taken: after a lost disk, or
    under another shard's name, it begins again at `persisted`. What is read twice is recognised.
    """

    def __init__(self, spool: Progress, taken: Place = START, persisted: Place = START) -> None:
        self._spool = spool
        self.taken, self.persisted = taken, persisted
        self._ahead: deque[tuple[int, Place]] = deque()  # places, and the spool's end by then
        self._ahead.append((spool.end, taken))

    @classmethod
    def resumed(cls, spool: Progress, row: Sequence[Any]) -> Self:
        """Return the cursor that a row of its table says, for this spool."""
        shard, spool_end, taken_txid, taken_id, persisted_txid, persisted_id = row
        persisted = Place(int(persisted_txid), persisted_id)
        ours = shard == spool.shard and spool.end >= spool_end
        return cls(spool, Place(int(taken_txid), taken_id) if ours else persisted, persisted)

    def take(self, place: Place) -> None:
        """Note that all up to a place is durable in the spool, or in quarantine."""
        self.taken = place
        self._ahead.append((self._spool.end, place))

    def settle(self) -> bool:
        """Move `persisted` as far as the raw log has come; tell whether it moved."""
        before = self.persisted
        while self._ahead and self._ahead[0][0] <= self._spool.persisted_offset:
            self.persisted = max(self.persisted, self._ahead.popleft()[1])
        return self.persisted != before

    def row(self) -> tuple[str, int, str, int, str, int]:
        """Return what its table is to hold."""
        return (
            self._spool.shard,
            self._spool.end,
            str(self.taken.txid),
            self.taken.id,
            str(self.persisted.txid),
            self.persisted.id,
        )
