from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import create_server
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.client.http import ApiProblem, Http, Retry, Unreachable


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
    with Http(retry=Retry(), clock=lambda: time.now, sleep=time.sleep) as pool:
        yield pool


def test_an_answer_carries_status_headers_and_body(http: Http, control: Any) -> None:
    control.files["/a?b=c"] = b'{"x": 1}'
    answer = http.request("GET", control.url + "/a?b=c")
    assert (answer.status, answer.json(), answer.headers["content-length"]) == (200, {"x": 1}, "8")


def test_server_errors_are_repeated_until_they_end(http: Http, control: Any, time: Time) -> None:
    control.files["/a"] = b"here"
    control.answers["/a"] = [503, 500, 429, 408]
    assert http.request("GET", control.url + "/a").body == b"here"
    assert len(time.pauses) == 4


@pytest.mark.parametrize("status", [304, 302, 404, 409])
def test_what_waiting_does_not_mend_is_not_repeated(http: Http, control: Any, status: int) -> None:
    control.answers["/a"] = [status]
    if status == 304:
        assert http.request("GET", control.url + "/a").status == 304
    else:
        with pytest.raises(ApiProblem) as refused:
            http.request("GET", control.url + "/a")
        assert (refused.value.status, refused.value.code) == (status, "refused")
    assert control.requests == ["GET /a"]


@pytest.mark.parametrize(("idempotent", "times"), [(None, 1), (False, 1), (True, 2)])
def test_a_post_is_repeated_only_if_the_caller_says_that_it_may_arrive_twice(
    http: Http, control: Any, idempotent: bool | None, times: int
) -> None:
    control.answers["/jobs/a"] = [503]
    with suppress(ApiProblem):
        http.request("POST", control.url + "/jobs/a", b"{}", idempotent=idempotent)
    assert control.requests == ["POST /jobs/a"] * times


@pytest.mark.parametrize("as_date", [False, True])
def test_the_server_says_how_long_to_wait(
    http: Http, control: Any, time: Time, as_date: bool
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=20)
    control.retry_after = format_datetime(moment, usegmt=True) if as_date else "18"
    control.answers["/a"] = [429]
    with pytest.raises(ApiProblem, match="404"):
        http.request("GET", control.url + "/a")
    (pause,) = time.pauses
    assert 15 < pause <= 20 + Retry().first_pause


def test_a_wait_past_the_deadline_is_not_begun(http: Http, control: Any, time: Time) -> None:
    control.retry_after = "3600"
    control.answers["/a"] = [429]
    with pytest.raises(ApiProblem, match="429"):
        http.request("GET", control.url + "/a")
    assert time.pauses == []


@pytest.fixture
def nowhere() -> str:
    with create_server(("127.0.0.1", 0)) as nobody:
        return f"http://127.0.0.1:{nobody.getsockname()[1]}"


def test_a_server_that_never_answers_is_unreachable(http: Http, nowhere: str, time: Time) -> None:
    with pytest.raises(Unreachable, match=f"{nowhere} does not answer: ") as raised:
        http.request("GET", f"{nowhere}/a?signature=secret", retry=Retry(deadline=20))
    assert "secret" not in str(raised.value)
    assert 5 < time.now < 20


def test_without_patience_once_means_once(nowhere: str, time: Time) -> None:
    with Http(sleep=time.sleep) as http, pytest.raises(Unreachable):
        http.request("GET", nowhere)
    assert time.pauses == []


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_pause(
    http: Http, control: Any, time: Time
) -> None:
    control.files["/a"] = b"here"
    http.request("GET", control.url + "/a")
    (connection,) = next(iter(http._idle.values()))  # noqa: SLF001 - as if the server hung up
    connection.sock.close()
    assert http.request("GET", control.url + "/a").body == b"here"
    assert time.pauses == []


def test_hanging_up_ends_a_request_under_way_and_every_later_one(http: Http) -> None:
    with create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        waiting = pool.submit(http.request, "GET", url)
        with silent.accept()[0] as asked:
            asked.recv(1)
            http.close()
            with pytest.raises(Unreachable):
                waiting.result(timeout=10)
        with pytest.raises(Unreachable, match="hung up"):
            http.request("GET", url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:80/a", "http:///a"])
def test_only_http_is_spoken(http: Http, url: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        http.request("GET", url)


def test_a_token_is_sent_without_the_white_space_around_it(control: Any) -> None:
    with Http(control.url, " bn_secret\r\n") as http:
        http.request("POST", "/callbacks/log", b"{}")
    assert control.headers[-1]["Authorization"] == "Bearer bn_secret"


@pytest.mark.parametrize("token", ["bn_\nsecret", "bn_secret\x00", "bn_sécret", "bn_secret\u2028x"])
def test_a_token_that_no_header_carries_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="the token holds what no header can carry") as refused:
        Http("http://127.0.0.1:1", token)
    assert "cret" not in str(refused.value)


@given(attempt=st.integers(0, 10_000))
def test_a_pause_never_exceeds_its_cap(attempt: int) -> None:
    assert 0 <= Retry().pause(attempt, None) <= Retry().longest_pause
