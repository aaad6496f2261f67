"""Plain predict over real HTTP: what a photo is answered, and what everything else is."""

import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from burnish.inference.app import Limits
from burnish.kernel.digest import digest
from burnish.releases.assignment import Assignment

PREDICT = "/v1/models/laundry/predict"
PROBLEM = "application/problem+json"


def test_a_photo_is_answered_with_label_release_generation_and_prediction_id(
    replica: Any, photo: bytes
) -> None:
    status, answer, headers = replica.predict(photo)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert (answer["model"], answer["model_version"]) == ("laundry", "1.0.0")
    assert (answer["release"], answer["generation"]) == ("rel-a", 1)
    assert answer["label"] == "a"
    assert answer["confidence"] == answer["probabilities"]["a"] > 0.99
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["payload_sha256"] == digest(photo)
    assert re.fullmatch(r"1\.[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-.*", answer["prediction_id"])


def test_every_answer_is_noted_with_its_input(replica: Any, photo: bytes) -> None:
    _, answer, _ = replica.predict(photo)
    ((noted, payload),) = replica.log.entries
    assert payload == photo
    assert (noted.id, noted.release, noted.generation, noted.model_version, noted.label) == (
        answer["prediction_id"],
        "rel-a",
        1,
        "1.0.0",
        "a",
    )
    assert noted.payload_sha256 == digest(photo)


def test_the_policys_share_of_the_inputs_is_kept_and_of_every_answer_the_line(
    replica: Any, artifact: Callable[..., bytes], assignment: Callable[..., Assignment]
) -> None:
    active = replica.release("rel-a", artifact("a"), 1)
    replica.follower.follow(assignment(active, capture=0.5))
    photos = [cv2.imencode(".png", np.full((8, 8), n, np.uint8))[1].tobytes() for n in range(40)]
    for photo in photos * 2:
        replica.predict(photo)
    kept = [payload for _, payload in replica.log.entries if payload is not None]
    assert len(replica.log.entries) == 80
    assert 5 < len(set(kept)) < 35
    assert len(kept) == 2 * len(set(kept))  # the same ones each time


def test_a_traceparent_is_echoed_and_a_missing_or_broken_one_replaced(
    replica: Any, photo: bytes
) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert replica.ask("POST", PREDICT, photo, traceparent=given)[2]["traceparent"] == given
    for broken in ("", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "garbage"):
        made = replica.ask("POST", PREDICT, photo, traceparent=broken)[2]["traceparent"]
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
        assert made != given


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "code"),
    [
        ("/v1/models/nothing/predict", b"x", "image/jpeg", 404, "model.unknown"),
        (PREDICT, b"these bytes are no image", "image/jpeg", 422, "image.unreadable"),
        (PREDICT, b"", "image/jpeg", 422, "image.unreadable"),
        (PREDICT, b"{}", "application/json", 415, "request.media_type"),
        ("/v1/models/laundry/explain", b"x", "image/jpeg", 404, "route.unknown"),
        ("/", b"x", "image/jpeg", 404, "route.unknown"),
    ],
)
def test_bad_input_gets_a_problem_document_with_a_stable_code(
    replica: Any, *, path: str, body: bytes, content_type: str, status: int, code: str
) -> None:
    got, problem, headers = replica.ask("POST", path, body, content_type=content_type)
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == PROBLEM
    assert problem["detail"]


def test_an_image_cut_short_or_far_too_large_in_pixels_is_unreadable(
    replica: Any, photo: bytes
) -> None:
    assert replica.predict(photo[: len(photo) // 2])[0] == 422
    # given a PNG of a few bytes that claims 100,000 x 100,000 pixels
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IEND\xaeB`\x82"
    status, problem, _ = replica.predict(bomb)
    assert (status, problem["code"]) == (422, "image.unreadable")


def test_another_method_is_refused_with_the_one_that_is_allowed(replica: Any) -> None:
    status, problem, headers = replica.ask("GET", PREDICT)
    assert (status, problem["code"], headers["allow"]) == (405, "request.method", "POST")


def test_an_encoded_body_is_refused(replica: Any, photo: bytes) -> None:
    status, problem, _ = replica.ask("POST", PREDICT, photo, content_encoding="gzip")
    assert (status, problem["code"]) == (415, "request.media_type")


def test_a_model_without_a_release_is_not_ready_yet(replicas: Callable[..., Any]) -> None:
    replica = replicas()
    replica.assign(None)
    status, problem, _ = replica.predict(b"x")
    assert (status, problem["code"]) == (503, "model.not_ready")


def test_a_body_over_the_cap_is_refused_whether_announced_or_streamed(
    replicas: Callable[..., Any], artifact: Callable[..., bytes], until: Callable[..., None]
) -> None:
    replica = replicas(limits=Limits(body_bytes=1000))
    replica.assign(replica.release("rel-a", artifact("a"), 1))
    until(lambda: replica.serves("rel-a"))
    status, problem, _ = replica.predict(bytes(1001))
    assert (status, problem["code"]) == (413, "request.too_large")
    connection = replica.connect()
    connection.request("POST", PREDICT, iter([bytes(600), bytes(600)]), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_beyond_the_bound_in_flight_a_request_is_told_when_to_come_back(
    replicas: Callable[..., Any],
    artifact: Callable[..., bytes],
    until: Callable[..., None],
    photo: bytes,
) -> None:
    # given a replica that takes one request at a time, and eight clients
    replica = replicas(limits=Limits(threads=1, in_flight=1))
    replica.assign(replica.release("rel-a", artifact("a"), 1))
    until(lambda: replica.serves("rel-a"))
    seen: list[tuple[int, Any, dict[str, str]]] = []

    def client() -> None:
        seen.extend(replica.predict(photo) for _ in range(40))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    # then each request is answered or refused with a time to wait, and none fails otherwise
    assert {status for status, _, _ in seen} == {200, 429}
    refused = [(problem, headers) for status, problem, headers in seen if status == 429]
    assert all(problem["code"] == "backpressure" for problem, _ in refused)
    assert all(int(headers["retry-after"]) >= 1 for _, headers in refused)
    assert replica.predict(photo)[0] == 200


def test_a_client_that_hangs_up_half_way_leaves_nothing_behind(replica: Any, photo: bytes) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", replica.server.port)) as raw:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\n\r\n"
            raw.sendall(head.encode() + photo[:10])
    assert replica.predict(photo)[0] == 200


def test_health_readiness_and_metrics(replica: Any, photo: bytes) -> None:
    assert replica.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})
    assert replica.ask("GET", "/readyz")[:2] == (200, {"status": "ok"})
    replica.predict(photo)
    replica.predict(b"no image")
    status, text, _ = replica.ask("GET", "/metrics")
    assert status == 200
    counted = 'burnish_inference_requests_total{code="%s",model="laundry",version="%s"} 1.0'
    assert counted % ("200", "1.0.0") in text
    assert counted % ("422", "") in text
    assert 'burnish_serving_generation{model="laundry"} 1.0' in text
    assert 'burnish_serving_swaps_total{model="laundry"} 1.0' in text
    assert "burnish_inference_in_flight 0.0" in text


def test_names_that_clients_make_up_become_no_metric_labels(replica: Any) -> None:
    replica.predict(b"x", model="made-up")
    text = replica.ask("GET", "/metrics")[1]
    assert "made-up" not in text


def test_a_replica_that_knows_nothing_yet_is_healthy_but_unready(
    replicas: Callable[..., Any],
) -> None:
    replica = replicas()
    assert replica.ask("GET", "/healthz")[0] == 200
    status, document, _ = replica.ask("GET", "/readyz")
    assert status == 503
    assert document["reasons"]
