"""What feedback needs of the world: the raw log, a parser, and a table to project into."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from burnish.feedback.model import FeedbackRecord, RawRecord
from burnish.feedback.verdict import Offsets, Verdict

Parse = Callable[[RawRecord], FeedbackRecord]  # raises InvalidInput if the line breaks its schema


class RawLog(Protocol):
    """Every accepted record, verbatim, in the order of its shard."""

    def end(self) -> Offsets:
        """Return, per shard, the first offset that is not persisted yet."""
        ...

    def read(self, shard: str, first: int, end: int) -> Iterator[RawRecord]:
        """Yield the records of a shard with first <= offset < end, ascending."""
        ...


class FeedbackStore(Protocol):
    """The projection of the raw log into a table; may be thrown away and projected again."""

    def offsets(self) -> Offsets:
        """Return, per shard, the first offset that is not projected yet."""
        ...

    def advance(self, shard: str, *, expected: int, to: int) -> None:
        """Move a shard's offset. Raises Stale if it does not stand at `expected`."""
        ...

    def add(self, verdicts: Sequence[Verdict]) -> set[str]:
        """Keep verdicts, one per identity: of copies the one of lowest precedence, at any time.

        Returns the names of the models that learnt something new; copies are no news.
        """
        ...

    def on_touched_subjects(self, model: str, since: Offsets) -> list[Verdict]:
        """Return all verdicts on those subjects that have at least one beyond `since`."""
        ...


class FeedbackUnit(Protocol):
    """One transaction."""

    @property
    def feedback(self) -> FeedbackStore:
        """The projection, inside this transaction."""
        ...


# Opens a transaction; leaving the block commits it, leaving by an error undoes it.
FeedbackUnits = Callable[[], AbstractContextManager[FeedbackUnit]]
