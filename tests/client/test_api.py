"""The API client: kept-alive connections, problems, and a stream of events that loses nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice

import pytest

from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.client.events import live_events
from burnish.client.http import Http
from support.http_server import HttpServer, QuietHandler

Answer = Callable[[QuietHandler], None]


class Server(HttpServer):
    """Answers with one function; counts connections and keeps the requests' headers."""

    def __init__(self) -> None:
        self.answer: Answer = whole(b"{}")
        self.connections = 0
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(QuietHandler):
            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def answer(self) -> None:
                self.body()
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append({**headers, ":path": self.path})
                server.answer(self)

        super().__init__(Handler)


def whole(body: bytes, status: int = 200, *, hang_up: bool = False, **headers: str) -> Answer:
    def answer(handler: QuietHandler) -> None:
        handler.reply(status, body, **headers)
        handler.close_connection = hang_up  # without having said so: as an idle timeout does

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[ApiClient]:
    client = ApiClient(server.url + "/", "bn_token", timeout=5)
    yield client
    client.close()


def test_requests_share_one_connection_and_show_the_token(
    server: Server, client: ApiClient
) -> None:
    for _ in range(3):
        client.get("/v1/models")
    assert server.connections == 1
    assert server.asked[0]["authorization"] == "Bearer bn_token"


def test_a_query_leaves_out_what_is_none(server: Server, client: ApiClient) -> None:
    client.get("/v1/runs", model="a b", limit=None)
    assert server.asked[0][":path"] == "/v1/runs?model=a+b"


def test_the_revision_travels_there_and_back(server: Server, client: ApiClient) -> None:
    server.answer = whole(b"{}", ETag='W/"7"')
    revision = client.get("/v1/runs/1").etag
    client.post("/v1/runs/1/approve", {"reason": ""}, if_match=revision)
    assert server.asked[1]["if-match"] == '"7"'


def test_a_problem_is_raised_with_its_code_and_its_patience(
    server: Server, client: ApiClient
) -> None:
    document = {"code": "backpressure", "detail": "The spool is full.", "status": 429}
    server.answer = whole(json.dumps(document).encode(), 429, Retry_After="7")
    with pytest.raises(ApiProblem) as refused:
        client.post("/v1/feedback", {})
    problem = refused.value
    assert (problem.status, problem.code, problem.retry_after) == (429, "backpressure", 7.0)
    server.answer = whole(b"[1, 2]", 500)
    with pytest.raises(ApiProblem, match="unknown"):
        client.get("/v1/models")


def test_a_connection_closed_meanwhile_is_opened_again_where_that_does_no_harm(
    server: Server, client: ApiClient
) -> None:
    server.answer = whole(b"{}", hang_up=True)
    client.get("/v1/models")
    client.get("/v1/models")
    assert len(server.asked) == 2
    with pytest.raises(Unreachable):
        client.post("/v1/models/laundry/runs", {"reason": "once"})
    client.post("/v1/models/laundry/runs", {"reason": "once"})
    assert len(server.asked) == 3


def test_who_does_not_answer_is_named_with_the_reason() -> None:
    with pytest.raises(
        Unreachable, match=r"http://127\.0\.0\.1:1 does not answer: nothing listens"
    ):
        ApiClient("http://127.0.0.1:1").get("/")


def test_who_answers_too_late_is_unreachable(server: Server) -> None:
    server.answer = lambda handler: handler.rfile.read(1) and None
    client = ApiClient(server.url, timeout=0.2)
    with pytest.raises(Unreachable, match="too long"):
        client.post("/v1/models", {})


@pytest.mark.parametrize("url", ["", "localhost:8400", "ftp://host", "http://"])
def test_a_url_that_is_none_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        ApiClient(url)


def stream(*parts: tuple[list[int], str]) -> Answer:
    """Send events by their ids, then break off as told; one entry a connection."""
    turn = iter(parts)

    def answer(handler: QuietHandler) -> None:
        ids, ending = next(turn)
        if ending == "refuse":
            whole(b'{"code": "unavailable"}', 503)(handler)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        text = ": welcome\n\n" + "".join(
            f'id: {n}\nevent: RunStarted\ndata: {{"id":\ndata: {n}}}\n\n' for n in ids
        )
        if ending == "torn":  # in the middle of an event
            text += 'id: 99\ndata: {"id": 99'
        handler.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        if ending == "closed":
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer


def test_events_go_on_where_they_broke_off_each_once_and_in_order(server: Server) -> None:
    server.answer = stream(([1, 2], "closed"), ([3], "torn"), ([], "torn"), ([4, 5], "closed"))
    told: list[Unreachable] = []
    waits: list[float] = []
    events = live_events(
        Http(server.url), model="laundry", reconnecting=told.append, sleep=waits.append
    )
    with closing(events):
        assert [event["id"] for event in islice(events, 5)] == [1, 2, 3, 4, 5]
    assert [asked.get("last-event-id") for asked in server.asked] == [None, "2", "3", "3"]
    assert server.asked[0][":path"] == "/v1/events?model=laundry"
    assert len(told) == 3
    assert waits == [0.5, 0.5, 0.5]


def test_events_begin_after_the_one_that_was_named_even_the_zeroth(server: Server) -> None:
    server.answer = stream(([1], "closed"))
    with closing(live_events(Http(server.url), after=0)) as events:
        assert next(events)["id"] == 1
    assert server.asked[0][":path"] == "/v1/events?after=0"


def test_a_stream_that_never_opened_is_an_error_not_a_wait(server: Server) -> None:
    with pytest.raises(Unreachable):
        next(live_events(Http("http://127.0.0.1:1")))
    server.answer = whole(b'{"code": "auth.invalid"}', 401)
    with pytest.raises(ApiProblem, match=r"auth\.invalid"):
        next(live_events(Http(server.url)))
