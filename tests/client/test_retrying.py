from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import create_server
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.client.retrying import ONCE, Http, Retry, Unreachable


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def http(time: Time) -> Iterator[Http]:
    with Http(clock=lambda: time.now, sleep=time.sleep) as pool:
        yield pool


def test_an_answer_carries_status_headers_and_body(http: Http, control: Any) -> None:
    control.files["/a?b=c"] = b'{"x": 1}'
    answer = http.request("GET", control.url + "/a?b=c")
    assert (answer.status, answer.json(), answer.headers["content-length"]) == (200, {"x": 1}, "8")


def test_requests_share_a_connection(http: Http, control: Any) -> None:
    for _ in range(5):
        http.request("GET", control.url + "/a")
    assert control.connections == 1


def test_server_errors_are_repeated_until_they_end(http: Http, control: Any, time: Time) -> None:
    control.files["/a"] = b"here"
    control.answers["/a"] = [503, 500, 429]
    assert http.request("GET", control.url + "/a").body == b"here"
    assert len(time.pauses) == 3


def test_refusals_are_not_repeated(http: Http, control: Any) -> None:
    control.answers["/a"] = [409]
    answer = http.request("POST", control.url + "/a", body=b"{}")
    assert (answer.status, answer.problem()) == (409, "refused")
    assert control.requests == ["POST /a"]


@pytest.mark.parametrize("as_date", [False, True])
def test_the_server_says_how_long_to_wait(
    http: Http, control: Any, time: Time, as_date: bool
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=20)
    control.retry_after = format_datetime(moment, usegmt=True) if as_date else "18"
    control.answers["/a"] = [429]
    http.request("GET", control.url + "/a")
    (pause,) = time.pauses
    assert 15 < pause <= 20


def test_a_wait_past_the_deadline_is_not_begun(http: Http, control: Any, time: Time) -> None:
    control.retry_after = "3600"
    control.answers["/a"] = [429]
    assert http.request("GET", control.url + "/a").status == 429
    assert time.pauses == []


def test_a_server_that_never_answers_is_unreachable(http: Http, time: Time) -> None:
    with create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/a?signature=secret"
    with pytest.raises(Unreachable, match=r"GET http://.*/a: ") as raised:
        http.request("GET", url, retry=Retry(deadline=20))
    assert "secret" not in str(raised.value)
    assert 5 < time.now < 20


def test_once_means_once(http: Http, time: Time) -> None:
    with create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
    with pytest.raises(Unreachable):
        http.request("GET", url, retry=ONCE)
    assert time.pauses == []


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_pause(
    http: Http, control: Any, time: Time
) -> None:
    http.request("GET", control.url + "/a")
    (connection,) = next(iter(http._idle.values()))  # noqa: SLF001 - as if the server hung up
    connection.sock.close()
    assert http.request("GET", control.url + "/a").status == 404
    assert time.pauses == []


def test_a_stream_is_read_as_it_comes(http: Http, control: Any) -> None:
    control.files["/events"] = b"one\ntwo\n"
    with http.stream(control.url + "/events", timeout=5) as lines:
        assert lines.readline() == b"one\n"
        assert lines.readline() == b"two\n"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:80/a", "http:///a"])
def test_only_http_is_spoken(http: Http, url: str) -> None:
    with pytest.raises(ValueError, match="no http"):
        http.request("GET", url)


@given(attempt=st.integers(0, 10_000))
def test_a_pause_never_exceeds_its_cap(attempt: int) -> None:
    assert 0 <= Retry().pause(attempt, None) <= Retry().longest_pause
