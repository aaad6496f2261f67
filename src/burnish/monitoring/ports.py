"""What watching releases needs of the world."""

from typing import Protocol

from burnish.feedback.verdict import Offsets
from burnish.kernel.events import Event
from burnish.kernel.ids import ReleaseId
from burnish.monitoring.model import Tally
from burnish.releases.ports import ReleaseUnit


class OutcomeStore(Protocol):
    """Verdicts joined to the predictions that they name."""

    def tally(self, model: str, release: ReleaseId, generation: int) -> Tally:
        """Count the answers of one release in one generation, and what became of them.

        A verdict that names no prediction, or one of another model, is none of them.
        """
        ...


class Position(Protocol):
    """How far the raw log is projected: while it stands still, nobody has said anything new."""

    def offsets(self) -> Offsets:
        """Return, per shard, the first offset that is not projected yet."""
        ...


class Notices(Protocol):
    """The outbox read back, so that nothing is told twice."""

    def published(self, type_: str, subject: str) -> list[Event]:
        """Return the events of one type on one subject."""
        ...


class MonitorUnit(ReleaseUnit, Protocol):
    """One transaction over releases and what is known of their answers."""

    @property
    def outcomes(self) -> OutcomeStore:
        """What people said of the answers."""
        ...

    @property
    def feedback(self) -> Position:
        """How far feedback has come."""
        ...

    @property
    def notices(self) -> Notices:
        """What has been told already."""
        ...
