"""A unit of work: one transaction that a use case opens, and the trace that every change leaves."""

from types import TracebackType
from typing import Protocol, Self

from burnish.kernel.audit import Audit
from burnish.kernel.events import Outbox


class Unit(Protocol):
    """One transaction; each room's own unit adds the stores that its use cases need."""

    @property
    def audit(self) -> Audit:
        """The audit log, written in this transaction."""
        ...

    @property
    def outbox(self) -> Outbox:
        """The outbox, written in this transaction."""
        ...

    def __enter__(self) -> Self:
        """Begin the transaction."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; what was not committed is rolled back."""
        ...

    def commit(self) -> None:
        """Make every change durable at the end of the block."""
        ...
