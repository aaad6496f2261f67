"""Time comes in as an argument: a `Clock` is anything that returns the present moment in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> datetime:
    """Return the moment that an RFC 3339 text names, in UTC. Raises ValueError if it names none.

    >>> parse_time("2026-05-01T10:00:00+09:00").isoformat()
    '2026-05-01T01:00:00+00:00'
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset: write it as 2026-05-01T10:00:00Z")
    return moment.astimezone(UTC)
