import base64
import contextlib
import gzip
import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import zstandard

from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.kernel.ids import uuid7
from support.samples import prediction

DAY_MS: Final = 86_400_000

DATA = ("model", "subject_id", "predicted", "final", "corrected", "actor", "occurred_at", "payload")
EVENT = {"specversion": "1.0", "type": "burnish.feedback.v1"}


def data_of(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in DATA}


def test_a_record_is_accepted_once_and_a_copy_is_told_so(front: Any, record: Any) -> None:
    accepted = {"source": "app", "id": "r-1", "offset": 0, "shard": "0", "duplicate": False}
    assert front.post("/v1/feedback", record()) == (202, accepted)
    assert front.post("/v1/feedback", record()) == (200, accepted | {"duplicate": True})


def test_the_same_identity_with_another_body_is_a_conflict_and_quarantined(
    front: Any, record: Any
) -> None:
    front.post("/v1/feedback", record())
    status, document = front.post("/v1/feedback", record(reason="on second thought"))
    assert (status, document["code"], document["offset"]) == (409, "feedback.conflict", 0)
    (kept,) = front.quarantine()
    assert kept["code"] == "feedback.conflict"
    assert "on second thought" in kept["body"]


def test_cloudevents_come_structured_binary_and_in_batches(front: Any, record: Any) -> None:
    def event(number: int) -> dict[str, Any]:
        return {**EVENT, "source": "app", "id": f"r-{number}", "data": data_of(record(number))}

    structured = front.post(
        "/v1/feedback", event(1), content_type="application/cloudevents+json; charset=utf-8"
    )
    binary = front.post(
        "/v1/feedback",
        data_of(record(2)),
        **{f"ce_{name}": value for name, value in {**EVENT, "source": "app", "id": "r-2"}.items()},
    )
    batch = front.post(
        "/v1/feedback/batch",
        json.dumps([event(3), event(1), {**event(4), "type": "other"}]).encode(),
        content_type="application/cloudevents-batch+json",
    )
    assert [structured[0], binary[0], batch[0]] == [202, 202, 200]
    lines = [(one["index"], one["status"], one["code"]) for one in batch[1]["results"]]
    assert lines == [
        (0, 202, "accepted"),
        (1, 200, "duplicate"),
        (2, 422, "malformed_feedback_event"),
    ]
    front.post("/v1/seal", b"")
    raw = front.raw_log()
    assert [one.id for one in raw] == ["r-1", "r-2", "r-3"]
    assert raw[1].ce == {**EVENT, "source": "app", "id": "r-2"}


def test_one_bad_line_of_a_batch_costs_its_neighbours_nothing(front: Any, record: Any) -> None:
    lines = [
        json.dumps(record(1)).encode(),
        b"{poison",
        b"",
        json.dumps(record(2, final="ugly")).encode(),
        json.dumps(record(1)).encode(),
        json.dumps(record(1, reason="other")).encode(),
        b"[" * 10_000,
        b'{"\xff": 1}',
        json.dumps(record(3)).encode(),
    ]
    status, answer = front.post(
        "/v1/feedback/batch", b"\n".join(lines), content_type="application/x-ndjson"
    )
    assert status == 200
    assert [(one["index"], one["status"], one["code"]) for one in answer["results"]] == [
        (0, 202, "accepted"),
        (1, 400, "malformed_feedback_event"),
        (3, 422, "unknown_label"),
        (4, 200, "duplicate"),
        (5, 409, "feedback.conflict"),
        (6, 422, "malformed_feedback_event"),
        (7, 400, "malformed_feedback_event"),
        (8, 202, "accepted"),
    ]
    assert [one.get("offset") for one in answer["results"]][::7] == [0, 1]
    assert sorted(one["code"] for one in front.quarantine()) == sorted(
        ["malformed_feedback_event"] * 3 + ["unknown_label", "feedback.conflict"]
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"actor": ...}, "malformed_feedback_event"),
        ({"corrected": False}, "malformed_feedback_event"),
        ({"schema_version": 2}, "unsupported_schema_version"),
        ({"model": "face"}, "unknown_model"),
        ({"final": "ugly"}, "unknown_label"),
        ({"payload": "http://169.254.169.254/"}, "payload_not_allowed"),
    ],
)
def test_what_cannot_be_accepted_is_a_problem_and_kept_in_quarantine(
    front: Any, record: Any, changes: dict[str, Any], code: str
) -> None:
    status, document = front.post("/v1/feedback", record(**changes))
    assert (status, document["status"], document["code"]) == (422, 422, code)
    assert document["detail"]
    (kept,) = front.quarantine()
    assert (kept["code"], json.loads(kept["body"])) == (code, record(**changes))


@pytest.mark.parametrize(
    ("body", "status"), [(b"{nope", 400), (b"", 400), (b"\xff\xfe", 400), (b"[" * 10_000, 422)]
)
def test_what_is_not_json_is_malformed_and_quarantined_byte_by_byte(
    front: Any, body: bytes, status: int
) -> None:
    answer = front.post("/v1/feedback", body)
    assert (answer[0], answer[1]["code"]) == (status, "malformed_feedback_event")
    (kept,) = front.quarantine()
    assert kept.get("body", "").encode() == body or kept["body_b64"] == "//4="


def test_only_a_known_bearer_of_a_fitting_role_is_heard(front: Any, record: Any) -> None:
    assert front.post("/v1/feedback", record(), bearer=None)[0] == 401
    assert front.post("/v1/feedback", record(), bearer="other")[1]["code"] == "auth.required"
    assert front.post("/v1/seal", b"", bearer="other")[0] == 401
    front.publish(role="viewer")
    status, document = front.post("/v1/feedback", record())
    assert (status, document["code"]) == (403, "auth.scope")
    assert front.quarantine() == []  # strangers do not fill our disk


def test_a_model_is_known_as_soon_as_it_is_published(front: Any, record: Any) -> None:
    assert front.post("/v1/feedback", record(1, final="torn"))[0] == 422
    front.publish(labels=("good", "torn"))
    assert front.post("/v1/feedback", record(2, final="torn"))[0] == 202


def test_a_body_too_large_is_refused_in_words(front: Any) -> None:
    status, document = front.post("/v1/feedback", b"x" * 2_000_000)
    assert (status, document["code"]) == (413, "request.too_large")
    assert front.post("/v1/feedback/batch", b"x" * 20_000_000)[0] == 413


def test_compressed_bodies_are_taken_and_kept_as_they_were(front: Any, record: Any) -> None:
    def body(number: int) -> bytes:
        return json.dumps(record(number)).encode()

    for number, (encoding, data) in enumerate(
        [
            ("gzip", gzip.compress(body(0))),
            ("GZIP", gzip.compress(body(1)[:9]) + gzip.compress(body(1)[9:])),
            ("zstd", zstandard.compress(body(2))),
            ("identity", body(3)),
        ]
    ):
        answer = front.post("/v1/feedback", data, content_encoding=encoding)
        assert (answer[0], answer[1]["offset"]) == (202, number)
    lines = b"\n".join(body(number) for number in range(4, 2000))
    _, answer = front.post("/v1/feedback/batch", zstandard.compress(lines), content_encoding="zstd")
    assert {one["status"] for one in answer["results"]} == {202}
    front.post("/v1/seal", b"")
    assert [one.body.encode() for one in front.raw_log()] == [body(n) for n in range(2000)]


@pytest.mark.parametrize(
    ("encoding", "data", "status", "code"),
    [
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], 400, "request.malformed"),
        ("zstd", zstandard.compress(b"{}")[:-1], 400, "request.malformed"),
        ("gzip", b"plain", 400, "request.malformed"),
        ("zstd", b"plain", 400, "request.malformed"),
        ("br", b"\x0b\x00", 415, "request.encoding"),
    ],
)
def test_what_cannot_be_expanded_is_quarantined_as_it_came(
    front: Any, encoding: str, data: bytes, status: int, code: str
) -> None:
    for path in ("/v1/feedback", "/v1/feedback/batch"):
        answer = front.post(path, data, content_encoding=encoding)
        assert (answer[0], answer[1]["code"]) == (status, code)
    for kept in front.quarantine():
        raw = kept["body"].encode() if "body" in kept else base64.b64decode(kept["body_b64"])
        assert (kept["code"], kept["content_encoding"], raw) == (code, encoding, data)


def ask(front: Any, method: str, path: str, **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.headers, answer.read()


def test_other_paths_and_methods_are_refused_and_say_what_there_is(front: Any) -> None:
    assert json.loads(ask(front, "GET", "/v1/nothing")[2])["code"] == "not_found"
    for method in ("GET", "HEAD", "PUT", "DELETE", "SEARCH"):
        status, headers, _ = ask(front, method, "/v1/feedback")
        assert (status, headers["allow"]) == (405, "POST, OPTIONS")
    assert ask(front, "OPTIONS", "/v1/feedback")[0] == 204
    status, headers, body = ask(front, "HEAD", "/healthz")
    assert (status, headers["content-length"], body) == (200, "15", b"")
    assert ask(front, "POST", "/healthz")[1]["allow"] == "GET, HEAD, OPTIONS"
    assert len(ask(front, "GET", "/" + "x" * 5000)[2]) < 500


def test_a_prediction_that_is_named_must_hold_while_the_log_answers(
    front: Any, record: Any
) -> None:
    moment = int(time.time() * 1000)
    ids = {
        name: f"3.{uuid7(moment - age, number.to_bytes(10))}"
        for number, (name, age) in enumerate(
            {"good": DAY_MS, "other": DAY_MS, "never": DAY_MS, "old": 31 * DAY_MS, "new": 0}.items()
        )
    }
    engine = make_engine(f"sqlite:///{front.data / 'burnish.db'}")
    at = datetime.now(UTC) - timedelta(days=1)
    SqlPredictions(engine).append(
        [
            prediction(1, id=ids["good"], at=at),
            prediction(2, id=ids["other"], at=at, model="face"),
            prediction(3, id=ids["old"], at=at - timedelta(days=30)),
        ]
    )

    def codes() -> list[str]:
        lines = (
            json.dumps(record(number, source=str(time.monotonic_ns()), prediction_id=id_)).encode()
            for number, id_ in enumerate(ids.values())
        )
        _, answer = front.post("/v1/feedback/batch", b"\n".join(lines))
        return [one["code"] for one in answer["results"]]

    unchecked = ["accepted"] * len(ids)
    expected = [
        "accepted",
        "prediction_foreign",
        "prediction_unknown",
        "prediction_expired",
        "accepted",
    ]
    front.until(lambda: codes() == expected)  # the first look may be too slow to be waited for
    # When the database is locked, records are accepted all the same, and at once.
    locked = sqlite3.connect(front.data / "burnish.db")
    locked.execute("BEGIN EXCLUSIVE")
    assert codes() == unchecked
    assert codes() == unchecked
    locked.rollback()
    locked.close()
    front.until(lambda: codes() == expected)
    engine.dispose()


def test_a_trace_is_taken_up_from_the_caller(front: Any, record: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    header = f"00-{trace}-00f067aa0ba902b7-01"
    assert front.post("/v1/feedback", b"{", traceparent=header)[1]["trace_id"] == trace
    assert len(front.post("/v1/feedback", b"{", traceparent="nonsense")[1]["trace_id"]) == 32
    front.post("/v1/feedback", record(), traceparent=header)
    front.post("/v1/seal", b"")
    assert front.raw_log()[0].ce == {"traceparent": header}


def test_sealing_waits_until_all_that_was_accepted_is_in_the_raw_log(
    front: Any, record: Any
) -> None:
    assert front.post("/v1/seal", b"") == (200, {"shard": "0", "persisted_offset": 0})
    for number in range(5):
        front.post("/v1/feedback", record(number))
    assert front.raw_log() == []
    assert front.post("/v1/seal", b"")[1]["persisted_offset"] == 5
    assert [one.id for one in front.raw_log()] == [f"r-{number}" for number in range(5)]
    assert json.loads(front.raw_log()[0].body) == record(0)


def test_it_says_how_it_is(front: Any, record: Any) -> None:
    front.post("/v1/feedback", record(1))
    front.post("/v1/feedback", record(1))
    front.post("/v1/feedback", record(2, final="ugly"))
    front.post("/v1/feedback", record(2), bearer="other")
    assert front.get("/healthz") == (200, b'{"status":"ok"}')
    assert front.get("/readyz")[0] == 200
    text = front.get("/metrics")[1].decode()
    for line in (
        'burnish_feedback_accepted_total{model="laundry"} 1.0',
        'burnish_feedback_duplicate_total{model="laundry"} 1.0',
        'burnish_feedback_quarantined_total{code="unknown_label",model="laundry"} 1.0',
        'burnish_feedback_rejected_total{code="auth.required",model=""} 1.0',
        "burnish_spool_backlog_records 1.0",
        "burnish_spool_sync_seconds_count 1.0",
        "burnish_spool_group_records_sum 1.0",
    ):
        assert line in text
    lag = next(one for one in text.splitlines() if one.startswith("burnish_ingestion_lag_seconds "))
    assert 0 < float(lag.split()[1]) < 60


def test_what_has_no_room_is_counted_by_its_model(stopped: Any, record: Any) -> None:
    stopped.start(high_water_bytes=0)
    batch = b"\n".join(stopped.encode(record(number)) for number in (2, 3))
    for path, body in (("/v1/feedback", record(1)), ("/v1/feedback/batch", batch)):
        status, answer = stopped.post(path, body, content_type="application/x-ndjson")
        assert (status, answer["code"]) == (429, "backpressure")
    line = 'burnish_feedback_rejected_total{code="backpressure",model="laundry"} 3.0'
    assert line in stopped.get("/metrics")[1].decode()


def test_it_is_not_ready_before_a_directory_is_published(stopped: Any, record: Any) -> None:
    (stopped.data / "published" / "directory.json").unlink()
    stopped.start()
    status, body = stopped.get("/readyz")
    assert (status, json.loads(body)["status"]) == (503, "unavailable")
    assert "directory" in json.loads(body)["reasons"][0]
    assert stopped.post("/v1/feedback", record())[0] == 503
    stopped.publish()
    assert stopped.get("/readyz")[0] == 200


def test_on_sigterm_it_finishes_its_requests_and_ships_what_it_has(front: Any, record: Any) -> None:
    front.post("/v1/feedback", record(1))
    body = json.dumps(record(2)).encode()
    slow = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    slow.putrequest("POST", "/v1/feedback")
    slow.putheader("Authorization", "Bearer a-token")
    slow.putheader("Content-Length", str(len(body)))
    slow.endheaders(body[:10])
    assert front.get("/healthz")[0] == 200  # by now the slow request is under way too
    front.process.send_signal(signal.SIGTERM)
    front.until(lambda: "ingest.draining" in (front.data / "log").read_text())
    slow.send(body[10:])
    assert slow.getresponse().status == 202
    slow.close()
    assert front.ended() == 0
    assert [one.id for one in front.raw_log()] == ["r-1", "r-2"]


def test_kill_minus_nine_loses_nothing_that_was_answered(front: Any, record: Any) -> None:
    answered: list[str] = []

    def send(worker: int) -> None:
        for number in range(1000):
            one = record(worker * 1000 + number)
            try:
                if front.post("/v1/feedback", one)[0] == 202:
                    answered.append(one["id"])
            except (OSError, http.client.HTTPException):
                return

    senders = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for sender in senders:
        sender.start()
    front.until(lambda: len(answered) > 100)
    front.stop(signal.SIGKILL)
    for sender in senders:
        sender.join()
    front.start()
    front.post("/v1/seal", b"")
    found = [one.id for one in front.raw_log()]
    assert len(found) == len(set(found))
    assert set(answered) <= set(found)


def test_a_second_front_on_the_same_data_or_port_does_not_start(front: Any, tmp_path: Path) -> None:
    def start(data: Path, port: int) -> str:
        role = Path(__file__).parents[1] / "support" / "ingest_role.py"
        ended = subprocess.run(
            [sys.executable, str(role), str(data), str(port), "{}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode != 0
        return ended.stderr

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert "SpoolLocked" in start(front.data, free)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "address already in use" in start(elsewhere, front.port).lower()


def test_a_client_that_never_ends_its_headers_is_cut_off_and_others_are_served(
    front: Any, record: Any
) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as slow:
        slow.sendall(b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert front.post("/v1/feedback", record())[0] == 202
        started = time.monotonic()
        while slow.recv(1000):
            pass
        assert time.monotonic() - started < 15
