import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from burnish.client.feedback import ApiProblem, Feedback
from support.http_server import HttpServer, QuietHandler

BEARER = "a-token"


class Impostor(HttpServer):
    """A server before the real one that answers as told, then hands the request on."""

    def __init__(self, front: Any) -> None:
        self.answers: list[tuple[int, dict[str, str]] | str] = []
        self.bodies: list[bytes] = []
        outer = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.0"  # no connection outlives its answer

            def answer(self) -> None:
                body = self.body()
                outer.bodies.append(body)
                answer = outer.answers.pop(0) if outer.answers else (200, {})
                if answer == "lost":
                    front.post(self.path, body)  # it arrives, but nobody hears so
                    self.close_connection = True
                    return
                status, headers = answer
                content = b"{}"
                if status == 200:
                    status, document = front.post(self.path, body)
                    content = front.encode(document)
                self.reply(status, content, **headers)

        super().__init__(Handler)


@pytest.fixture(name="impostor")
def _impostor(front: Any) -> Iterator[Impostor]:
    impostor = Impostor(front)
    yield impostor
    impostor.close()


def unnamed(record: Any, number: int, **changes: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in record(number, **changes).items()
        if name not in {"id", "source"}
    }


def test_a_record_gets_an_id_and_the_clients_source(front: Any, record: Any) -> None:
    with Feedback(front.url, BEARER, source="shop") as feedback:
        first, second = (feedback.send(unnamed(record, number)) for number in (1, 2))
    assert (first["source"], first["offset"], second["offset"]) == ("shop", 0, 1)
    assert uuid.UUID(first["id"]).version == 7
    assert first["id"] < second["id"]


def test_a_refusal_is_an_error_with_its_code(front: Any, record: Any) -> None:
    with Feedback(front.url, BEARER) as feedback:
        with pytest.raises(ApiProblem) as refused:
            feedback.send(record(final="ugly"))
        assert (refused.value.status, refused.value.code) == (422, "unknown_label")
        with pytest.raises(ValueError, match="source is missing"):
            feedback.send(unnamed(record, 1))
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        Feedback("127.0.0.1:8401", BEARER)


def test_many_records_go_in_batches_and_each_has_its_result(front: Any, record: Any) -> None:
    records = [
        record(number, **({"final": "ugly"} if number == 1500 else {})) for number in range(2500)
    ]
    with Feedback(front.url, BEARER) as feedback:
        results = feedback.send_many(records)
        assert feedback.seal() == 2499
    assert [one["index"] for one in results] == list(range(2500))
    assert [one["index"] for one in results if one["code"] != "accepted"] == [1500]
    assert [one.id for one in front.raw_log()] == [
        one["id"] for one in records if one["id"] != "r-1500"
    ]


def test_lost_answers_and_pressure_are_retried_and_count_once(
    front: Any, record: Any, impostor: Impostor
) -> None:
    impostor.answers = ["lost", (503, {}), (429, {"Retry-After": "1"})]
    with Feedback(impostor.url, BEARER, source="shop") as feedback:
        answer = feedback.send(unnamed(record, 1))
        assert answer["duplicate"]  # its first copy had arrived
        assert len(set(impostor.bodies)) == 1
        assert len(impostor.bodies) == 4
        assert feedback.seal() == 1


def test_patience_ends(record: Any, front: Any, impostor: Impostor) -> None:
    impostor.answers = [(503, {"Retry-After": "60"})]
    with (
        Feedback(impostor.url, BEARER, patience_s=0.5) as feedback,
        pytest.raises(ApiProblem, match="503"),
    ):
        feedback.send(record())
