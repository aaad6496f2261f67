"""Whatever is thrown at the front: others are served, memory is bounded, nothing kept is lost."""

import base64
import gzip
import http.client
import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.front import Front

MIB: Final = 1 << 20
SLOW: Final = 60  # clients at once that never finish
CROWD: Final = 1500  # idle connections
LIMITS: Final = {"body_deadline_s": 2.0}
AUTHORIZATION: Final = b"Authorization: Bearer a-token\r\n"
NDJSON: Final = "application/x-ndjson"


NUMBERS: Final = itertools.count(1000)  # of records that no other test sends


@pytest.fixture(name="front", scope="module")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One process for all of it: what harmed it would show in every later test too."""
    front = Front(tmp_path_factory.mktemp("front"))
    front.publish()
    front.start(limits=LIMITS)
    yield front
    assert front.stop() == 0


def resident(front: Front) -> int:
    """Bytes of memory that the process holds."""
    assert front.process is not None
    status = Path(f"/proc/{front.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@contextmanager
def unharmed(front: Front, record: Any, *, growth: int = 48 * MIB) -> Iterator[None]:
    """Check that records from before and after are there, once each, and memory is as it was."""

    def accepted() -> str:
        one = record(next(NUMBERS))
        assert front.post("/v1/feedback", one)[0] == 202
        return str(one["id"])

    sent = [accepted()]
    before = resident(front)
    yield
    assert resident(front) - before < growth
    sent.append(accepted())
    assert front.get("/readyz")[0] == 200
    assert front.post("/v1/seal", b"")[0] == 200
    found = [one.id for one in front.raw_log()]
    assert len(found) == len(set(found))
    assert set(sent) <= set(found)


def test_a_poison_line_costs_its_neighbours_nothing(front: Front, record: Any) -> None:
    poison = [
        b"\xff\xfe\x00",
        b"{nope",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"x" * (MIB + 1),
        b"\0",
        b'{"specversion": "9"}',
    ]
    before = len(front.quarantine())
    with unharmed(front, record):
        lines = [part for one in poison for part in (one, b"%s")]
        body = b"\n".join(
            json.dumps(record(next(NUMBERS))).encode() if line == b"%s" else line for line in lines
        )
        status, answer = front.post("/v1/feedback/batch", body, content_type=NDJSON)
        assert status == 200
        statuses = [one["status"] for one in answer["results"]]
        assert statuses[1::2] == [202] * len(poison)
        assert all(400 <= status < 500 for status in statuses[::2])
    assert len(front.quarantine()) == before + len(poison)


@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/feedback/batch"])
def test_a_body_of_100_mb_is_refused_in_words_and_takes_no_memory(
    front: Front, record: Any, path: str
) -> None:
    with unharmed(front, record):
        status, document = front.post(path, bytes(100 * MIB), content_type=NDJSON)
        assert (status, document["code"]) == (413, "request.too_large")


def test_a_chunked_body_without_end_is_refused_at_its_cap(front: Front, record: Any) -> None:
    with unharmed(front, record):
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
        chunks = (bytes(MIB) for _ in range(40))
        headers = {"Authorization": "Bearer a-token", "Transfer-Encoding": "chunked"}
        connection.request("POST", "/v1/feedback", chunks, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_a_bomb_is_defused_at_the_cap(front: Front, record: Any, encoding: str) -> None:
    size = 1 << 30
    if encoding == "zstd":
        bomb = zstandard.ZstdCompressor().compress(bytes(size))
    else:
        bomb = gzip.compress(bytes(size), 1)
    with unharmed(front, record, growth=64 * MIB):
        for path in ("/v1/feedback/batch", "/v1/feedback/batch"):
            status, document = front.post(path, bomb, content_encoding=encoding)
            assert (status, document["code"]) == (413, "request.too_large")
            assert "bytes" in document["detail"]


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_frames_that_hold_nothing_keep_nobody_waiting(
    front: Front, record: Any, encoding: str
) -> None:
    frame = zstandard.compress(b"") if encoding == "zstd" else gzip.compress(b"", mtime=0)
    with unharmed(front, record, growth=96 * MIB):
        body = frame * (15 * MIB // len(frame))
        status, document = front.post("/v1/feedback/batch", body, content_encoding=encoding)
        assert (status, document["code"]) == (400, "request.malformed")
        assert "frames" in document["detail"]


@pytest.mark.parametrize("content_type", [NDJSON, "application/cloudevents-batch+json"])
def test_a_batch_of_too_many_records_is_refused_as_a_whole(
    front: Front, record: Any, content_type: str
) -> None:
    body = b"{}\n" * 5_000_000 if content_type == NDJSON else b"[" + b"{}," * 999_999 + b"{}]"
    with unharmed(front, record, growth=256 * MIB):
        status, document = front.post("/v1/feedback/batch", body, content_type=content_type)
        assert (status, document["code"]) == (413, "request.too_large")
        assert "100,000 at a time" in document["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 10_000 + b"]" * 10_000, 422),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 422),
        (b'{"id": "\xc3\x28"}', 400),
        (b"\xff" * 1000, 400),
        (b"", 400),
    ],
    ids=["deep-array", "deep-object", "bad-utf-8", "no-utf-8", "empty"],
)
def test_json_that_breaks_parsers_is_quarantined_and_breaks_nothing(
    front: Front, record: Any, body: bytes, status: int
) -> None:
    before = len(front.quarantine())
    with unharmed(front, record):
        for path in ("/v1/feedback", "/v1/feedback/batch"):
            media = "application/cloudevents-batch+json" if "batch" in path else "application/json"
            answer = front.post(path, body, content_type=media)
            assert answer[1]["code"] == "malformed_feedback_event"
            assert answer[0] in {status, 400, 422}
    assert len(front.quarantine()) == before + 2


HEAD: Final = b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION
STALLS: Final = {
    "before-the-first-byte": b"",
    "in-the-headers": HEAD + b"X-Slow: ",
    "before-the-body": HEAD + b"Content-Length: 1000000\r\n\r\n",
    "in-the-body": HEAD + b"Content-Length: 1000000\r\n\r\n{",
    "in-a-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n{",
    "between-two-requests": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "in-the-body-of-a-stranger": b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 1000000\r\n\r\n{",
}


@pytest.mark.parametrize("stall", sorted(STALLS))
def test_slow_clients_are_cut_off_and_others_are_served(
    front: Front, record: Any, stall: str
) -> None:
    with unharmed(front, record), ExitStack() as clients:
        slow = [
            clients.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=30))
            for _ in range(SLOW)
        ]
        for one in slow:
            one.sendall(STALLS[stall])
        for _ in range(20):
            assert front.post("/v1/feedback", record(next(NUMBERS)))[0] == 202
        for one in slow:
            assert ended(one)


def test_more_idle_connections_than_the_backlog_holds_keep_nobody_out(
    front: Front, record: Any
) -> None:
    with unharmed(front, record, growth=96 * MIB), ExitStack() as clients:
        for _ in range(CROWD):
            clients.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=30))
        assert front.post("/v1/feedback", record(next(NUMBERS)))[0] == 202


def test_headers_beyond_their_cap_are_refused(front: Front, record: Any) -> None:
    with (
        unharmed(front, record),
        socket.create_connection(("127.0.0.1", front.port), timeout=30) as client,
    ):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000)
        assert b"431 " in client.recv(10_000)


def test_a_client_that_drips_its_body_is_cut_off_at_the_deadline(front: Front, record: Any) -> None:
    with (
        unharmed(front, record),
        socket.create_connection(("127.0.0.1", front.port), timeout=30) as slow,
    ):
        slow.sendall(STALLS["in-the-body"])
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    slow.sendall(b" ")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert b"408 Request Timeout" in slow.recv(10_000)
        finally:
            stop.set()
            dripping.join()


def ended(connection: socket.socket) -> bool:
    """Read until the other side closes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if not connection.recv(10_000):
                return True
        except ConnectionResetError:
            return True
    return False


def test_bodies_in_flight_are_capped_and_the_rest_is_told_to_come_back(
    stopped: Front, record: Any
) -> None:
    stopped.start(limits={"in_flight_bytes": 2 * MIB, "body_deadline_s": 60.0})
    head = b"POST /v1/feedback/batch HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION
    refused: list[dict[str, Any]] = []

    def is_refused_beside_an_unfinished_batch() -> bool:
        with socket.create_connection(("127.0.0.1", stopped.port), timeout=30) as holder:
            # Given a client whose unfinished batch fills the memory that bodies may take.
            holder.sendall(head + b"Content-Length: 3000000\r\n\r\n" + b" " * (2 * MIB))
            while not refused:
                status, answer = stopped.post("/v1/feedback", record(next(NUMBERS)))
                if status == 429:
                    refused.append(answer)
                elif select.select([holder], [], [], 0)[0]:
                    return False  # a record came while it filled, and it was refused instead
        return True

    with unharmed(stopped, record):
        # When others come, they are told to come back.
        stopped.until(is_refused_beside_an_unfinished_batch)
        assert refused[0]["code"] == "backpressure"
        assert refused[0]["retry_after"] >= 1
        # Then, once it has left, there is room again.
        stopped.until(lambda: stopped.post("/v1/feedback", record(next(NUMBERS)))[0] == 202)


# Of what a header may hold: DEL it may not, and the server itself says so.
TEXT = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=60
)
NAMES: Final = (
    "content-type",
    "content-encoding",
    "ce-specversion",
    "ce-type",
    "ce-source",
    "ce-id",
    "ce-time",
    "traceparent",
)
VALUES: Final = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/cloudevents+xml",
    "gzip",
    "zstd",
    "identity",
    "1.0",
    "burnish.feedback.v1",
    "burnish.feedback.v9",
    "%ff",
    '"quoted"',
)
HEADERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | TEXT, max_size=5)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_in_any_wrapping_are_durable_or_quarantined_as_they_came(
    front: Front, record: Any, data: st.DataObject
) -> None:
    some = json.dumps(record(data.draw(st.integers(100, 130)))).encode()
    mutated = st.tuples(st.integers(0, len(some) - 1), st.binary(max_size=3)).map(
        lambda cut: some[: cut[0]] + cut[1] + some[cut[0] + len(cut[1]) :]
    )
    bodies = st.binary(max_size=300) | st.just(some) | mutated
    body = data.draw(bodies | bodies.map(gzip.compress) | bodies.map(zstandard.compress))
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
    connection.putrequest("POST", "/v1/feedback")
    for name, value in data.draw(HEADERS).items():
        connection.putheader(name, value.encode("latin-1"))
    connection.putheader("authorization", "Bearer a-token")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    assert answer.status < 500
    if answer.status < 300:
        front.post("/v1/seal", b"")
        identities = {(one.source, one.id, one.offset) for one in front.raw_log()}
        assert (document["source"], document["id"], document["offset"]) in identities
    else:
        lines = front.quarantine()
        assert any(one["code"] == document["code"] and holds(one, body) for one in lines)


def holds(line: dict[str, Any], sent: bytes) -> bool:
    """Tell whether a quarantined line has what was sent, as it was or expanded."""
    kept = line["body"].encode() if "body" in line else base64.b64decode(line["body_b64"])
    forms = [sent]
    for expand in (gzip.decompress, lambda data: zstandard.decompress(data, 1 << 20)):
        try:
            forms.append(expand(sent))
        except (OSError, EOFError, zstandard.ZstdError):
            continue
    return kept in forms
