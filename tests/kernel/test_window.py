"""Nightly windows on the clocks of real zones, on nights when those are moved as well."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.kernel.window import Opening, Window

DAY = timedelta(days=1)
ZONES = (
    "UTC",
    "Asia/Seoul",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # moves its clocks by half an hour
    "Africa/Casablanca",
    "America/Havana",  # moves them at midnight
    "Asia/Kathmandu",
    "Pacific/Apia",
)
CLOCK = st.times().map(lambda at: at.replace(second=0, microsecond=0))
WINDOWS = st.builds(Window, start=CLOCK, end=CLOCK, zone=st.sampled_from(ZONES)).filter(
    lambda window: window.start != window.end
)
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)


def night(text: str, day: str) -> tuple[str, str]:
    """Return when the window of a local date opens and closes there, with the offsets."""
    window = Window.parse(text)
    middle = datetime.combine(date.fromisoformat(day), window.start, ZoneInfo(window.zone))
    opens = window.opens_after(middle.astimezone(UTC) - timedelta(hours=6))
    opening = window.opening(opens)
    assert opening is not None
    ends = (opening.opens, opening.closes)
    return tuple(window.local(end).strftime("%d %H:%M%z") for end in ends)  # type: ignore[return-value]


def test_a_window_is_read_in_its_own_zone() -> None:
    assert night("01:00-05:00 Asia/Seoul", "2026-05-02") == ("02 01:00+0900", "02 05:00+0900")


def test_a_window_over_midnight_ends_on_the_next_date() -> None:
    assert night("23:00-02:00 Europe/Berlin", "2026-05-02") == ("02 23:00+0200", "03 02:00+0200")


@pytest.mark.parametrize(
    ("window", "opens", "closes"),
    [
        ("01:30-04:00", "29 01:30+0100", "29 04:00+0200"),  # an hour shorter
        ("01:30-02:30", "29 01:30+0100", "29 03:00+0200"),  # its end is skipped
        ("02:30-04:00", "29 03:00+0200", "29 04:00+0200"),  # its beginning is skipped
        ("02:15-02:45", "29 03:00+0200", "29 03:30+0200"),  # all of it is: it comes right after
        ("02:00-03:00", "29 03:00+0200", "29 04:00+0200"),
    ],
)
def test_an_hour_that_does_not_exist_costs_no_night(window: str, opens: str, closes: str) -> None:
    assert night(f"{window} Europe/Berlin", "2026-03-29") == (opens, closes)


@pytest.mark.parametrize(
    ("window", "opens", "closes"),
    [
        ("01:30-04:00", "25 01:30+0200", "25 04:00+0100"),  # an hour longer
        ("01:30-02:30", "25 01:30+0200", "25 02:30+0100"),
        ("02:30-04:00", "25 02:30+0200", "25 04:00+0100"),
        ("02:15-02:45", "25 02:15+0200", "25 02:45+0100"),
    ],
)
def test_an_hour_that_comes_twice_opens_the_window_once_and_keeps_it_open(
    window: str, opens: str, closes: str
) -> None:
    assert night(f"{window} Europe/Berlin", "2026-10-25") == (opens, closes)


@given(WINDOWS, MOMENTS)
def test_where_the_clock_on_the_wall_is_inside_the_window_is_open(
    window: Window, now: datetime
) -> None:
    wall = window.local(now).time()
    over_midnight = window.end <= window.start
    inside = (
        wall >= window.start or wall < window.end
        if over_midnight
        else window.start <= wall < window.end
    )
    if inside:
        assert window.opening(now) is not None


@given(WINDOWS, MOMENTS)
def test_a_window_opens_next_when_it_says_so_and_not_before(window: Window, now: datetime) -> None:
    opens = window.opens_after(now)
    assert now < opens <= now + 2 * DAY
    opening = window.opening(opens)
    assert opening is not None
    assert opening.opens <= opens < opening.closes
    if window.opening(now) is None:
        just_before = opens - timedelta(seconds=1)
        assert just_before < now or window.opening(just_before) is None


@given(WINDOWS, MOMENTS)
def test_a_window_opens_once_a_day_and_is_about_as_long_as_it_says(
    window: Window, now: datetime
) -> None:
    nights: list[Opening] = []
    at = now
    for _ in range(5):
        at = window.opens_after(at)
        opening = window.opening(at)
        assert opening is not None
        nights.append(opening)
    spread = [later.opens - one.opens for one, later in pairwise(nights)]
    assert all(timedelta(hours=21) <= gap <= timedelta(hours=27) for gap in spread)
    assert all(one.opens < one.closes for one in nights)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("1:00-5:00 Asia/Seoul", "write it as in '01:00-05:00 Asia/Seoul'"),
        ("01:00-05:00", "write it as in"),
        ("", "write it as in"),
        ("01:00-25:00 Asia/Seoul", "from 00:00 to 23:59"),
        ("01:60-05:00 Asia/Seoul", "from 00:00 to 23:59"),
        ("01:00-01:00 Asia/Seoul", "at another time than it begins"),
        ("01:00-05:00 Asia/Soul", "'Asia/Soul' is no zone"),
        ("01:00-05:00 Asia", "'Asia' is no zone"),
        ("01:00-05:00 ../../etc/passwd", "is no zone"),
        ("01:00-05:00 /etc/localtime", "is no zone"),
    ],
)
def test_what_is_no_window_is_refused_with_the_fix(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        Window.parse(text)


def test_a_window_may_be_all_but_a_minute_of_the_day() -> None:
    window = Window(start=time(5), end=time(4, 59), zone="UTC")
    closed = datetime(2026, 5, 1, 4, 59, 30, tzinfo=UTC)
    assert window.opening(closed) is None
    assert window.opening(closed + timedelta(seconds=30)) is not None
    assert window.opening(closed - timedelta(minutes=1)) is not None
