"""A nightly window: a stretch of wall-clock time in a zone, as instants, whatever the clock does.

It opens once for each local date, at the first instant at which a clock on the wall there has
reached its beginning, and closes when one has reached its end for good. So on an hour that comes
twice it stays open for both, and a beginning that a clock skips is the moment of the skip. A window
that is skipped whole opens then all the same, for as long as it is on other nights: no night is
lost.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

_FORM: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)")
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_AROUND: Final = range(-2, 3)  # local dates whose windows may reach the present instant
EXAMPLE: Final = "01:00-05:00 Asia/Seoul"


class Opening(Struct, frozen=True, kw_only=True):
    """One night's window: open from `opens` up to, not including, `closes`; both in UTC."""

    opens: datetime
    closes: datetime


class Window(Struct, frozen=True, kw_only=True):
    """A nightly window; it ends on the next date if its end is not after its beginning."""

    start: time
    end: time
    zone: str  # IANA name

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read a window. Raises ValueError that says what to write instead.

        >>> Window.parse("22:30-04:00 Europe/Berlin").zone
        'Europe/Berlin'
        """
        return _parsed(text)

    def opening(self, now: datetime) -> Opening | None:
        """Return the night's window that is open at a moment; None if it is closed."""
        nights = self._nights(now)
        return next((night for night in nights if night.opens <= now < night.closes), None)

    def opens_after(self, now: datetime) -> datetime:
        """Return when it opens next after a moment."""
        return min(night.opens for night in self._nights(now) if night.opens > now)

    def local(self, moment: datetime) -> datetime:
        """Return a moment as a clock on the wall shows it there."""
        return moment.astimezone(ZoneInfo(self.zone))

    def _nights(self, now: datetime) -> Iterator[Opening]:
        today = self.local(now).date()
        return (self._night(today + days * _DAY) for days in _AROUND)

    def _night(self, day: date) -> Opening:
        over_midnight = self.end <= self.start
        opens = _reached(day, self.start, self.zone, fold=0)
        closes = _reached(day + _DAY if over_midnight else day, self.end, self.zone, fold=1)
        if closes <= opens:
            length = _minutes(self.end) - _minutes(self.start)
            closes = opens + timedelta(minutes=length % (24 * 60))
        return Opening(opens=opens, closes=closes)


@lru_cache
def _parsed(text: str) -> Window:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"write it as in {EXAMPLE!r}")
    zone = match[5]
    try:
        start = time(int(match[1]), int(match[2]))
        end = time(int(match[3]), int(match[4]))
    except ValueError as error:
        raise ValueError("give times of day from 00:00 to 23:59") from error
    if start == end:
        raise ValueError("let it end at another time than it begins, or leave it out: always open")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:  # unknown, no name at all, a folder of names
        raise ValueError(
            f"{zone!r} is no zone of this machine's time zone database: give an IANA name,"
            " as in Asia/Seoul"
        ) from error
    return Window(start=start, end=end, zone=zone)


@lru_cache(maxsize=1024)
def _reached(day: date, wall: time, zone: str, *, fold: int) -> datetime:
    """Return the instant at which clocks reach a time of a date; `fold` 1: of two, the later."""
    place = ZoneInfo(zone)
    before = datetime.combine(day, wall.replace(fold=0), place).astimezone(UTC)
    after = datetime.combine(day, wall.replace(fold=1), place).astimezone(UTC)
    if after >= before:  # they are equal but where the time comes twice
        return after if fold else before
    # Skipped. Read with the offset of either side, it lies on both sides of the skip: that is when.
    low, high = after, before
    offset = low.astimezone(place).utcoffset()
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(place).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute
