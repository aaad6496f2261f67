"""Hot swaps under load, and artifacts that must never serve, with a whole replica."""

import json
import statistics
import threading
from collections.abc import Callable
from typing import Any

import pytest

from burnish.releases.assignment import ArtifactRef, Assigned

CLIENTS = 8
SWAPS = 50
COLD_EVERY = 5  # each fifth release is not kept warm: it is fetched, loaded, checked and freed
LABEL_OF = {"rel-a": "a", "rel-b": "b"}
VERSION_OF = {"rel-a": "1.0.0", "rel-b": "2.0.0"}


class Client(threading.Thread):
    """Asks on one connection without a pause, and judges every answer."""

    def __init__(self, replica: Any, photo: bytes, stop: threading.Event) -> None:
        super().__init__()
        self.replica, self.photo, self.stop = replica, photo, stop
        self.answers = 0
        self.failed: list[str] = []
        self.mixed: list[dict[str, Any]] = []
        self.generations: list[int] = []

    def run(self) -> None:
        connection = self.replica.connect()
        while not self.stop.is_set():
            try:
                connection.request("POST", "/v1/models/laundry/predict", self.photo)
                response = connection.getresponse()
                body = response.read()
            except OSError as error:
                self.failed.append(repr(error))
                return
            if response.status == 200:
                self.judge(json.loads(body))
            else:
                self.failed.append(f"{response.status} {body!r}")
        connection.close()

    def judge(self, answer: dict[str, Any]) -> None:
        self.answers += 1
        release, generation = answer["release"], answer["generation"]
        sound = (
            answer["label"] == LABEL_OF[release]
            and answer["model_version"] == VERSION_OF[release]
            and (release == "rel-a") == (generation % 2 == 1)  # as the test promotes them
            and answer["prediction_id"].startswith(f"{generation}.")
        )
        if not sound:
            self.mixed.append(answer)
        self.generations.append(generation)


def test_fifty_swaps_under_load_fail_no_request_and_mix_no_answer(
    replica: Any, artifact: Callable[..., bytes], photo: bytes, until: Callable[..., None]
) -> None:
    releases = [("rel-b", artifact("b")), ("rel-a", artifact("a"))]
    stop = threading.Event()
    clients = [Client(replica, photo, stop) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    # when the two releases are promoted in turn, forward and back
    for number in range(SWAPS):
        name, data = releases[number % 2]
        other, other_data = releases[1 - number % 2]
        warm = number % COLD_EVERY != 0
        active = replica.release(name, data, generation=number + 2)
        previous = replica.release(other, other_data) if warm else None
        replica.assign(active, previous=previous)
        until(lambda name=name: replica.serves(name))
        so_far = sum(client.answers for client in clients)
        until(lambda so_far=so_far: sum(client.answers for client in clients) >= so_far + CLIENTS)
    stop.set()
    for client in clients:
        client.join()
    # then nobody noticed
    assert [client.failed for client in clients] == [[]] * CLIENTS
    assert [client.mixed for client in clients] == [[]] * CLIENTS
    for client in clients:  # each connection sees generations in order
        assert client.generations == sorted(client.generations)
    # and each swap is reported with what it took
    swaps = replica.follower.report().models["laundry"].swaps
    assert [swap.generation for swap in swaps] == list(range(SWAPS - 8, SWAPS + 2))
    assert statistics.median(swap.swap_us for swap in swaps) < 1000
    assert all(swap.swap_us > 0 for swap in swaps)


def tampered(replica: Any, artifact: Callable[..., bytes]) -> Assigned:
    good = replica.release("rel-b", artifact("b"))
    ref = ArtifactRef(key=good.artifact.key, sha256=f"sha256:{1:064x}", bytes=good.artifact.bytes)
    return Assigned(release="rel-b", model_version="2.0.0", artifact=ref, generation=2)


BAD: dict[str, tuple[Callable[..., Assigned], str]] = {
    "corrupt": (lambda r, _: r.release("rel-b", b"no ONNX at all", 2), "ONNX"),
    "truncated": (lambda r, make: r.release("rel-b", make("b")[:200], 2), "ONNX"),
    "wrong digest": (tampered, "digest"),
    "not finite": (
        lambda r, make: r.release("rel-b", make("b", weight=float("nan")), 2),
        "finite",
    ),
    "other labels": (lambda r, make: r.release("rel-b", make("b", labels=("b", "c")), 2), "'c'"),
    "more labels": (lambda r, make: r.release("rel-b", make("b", labels=("a", "b", "c")), 2), "c"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_artifact_never_serves_and_its_reason_is_reported(
    replica: Any,
    artifact: Callable[..., bytes],
    photo: bytes,
    until: Callable[..., None],
    kind: str,
) -> None:
    make, reason = BAD[kind]
    replica.assign(make(replica, artifact), previous=replica.release("rel-a", artifact("a"), 1))
    until(lambda: replica.follower.report().models["laundry"].failed)
    report = replica.follower.report().models["laundry"]
    assert reason in report.failed["rel-b"]
    assert report.loaded == ("rel-a",)
    assert replica.predict(photo)[1]["release"] == "rel-a"
    assert replica.ask("GET", "/readyz")[0] == 200


def test_an_artifact_that_is_not_there_yet_serves_as_soon_as_it_is(
    replica: Any, artifact: Callable[..., bytes], photo: bytes, until: Callable[..., None]
) -> None:
    data = artifact("b")
    ref = ArtifactRef(
        key="models/late.onnx",
        sha256=replica.release("rel-b", data).artifact.sha256,
        bytes=len(data),
    )
    replica.assign(
        Assigned(release="rel-b", model_version="2.0.0", artifact=ref, generation=2),
        previous=replica.release("rel-a", artifact("a"), 1),
    )
    assert replica.predict(photo)[1]["release"] == "rel-a"
    replica.objects.put("models/late.onnx", data)
    until(lambda: replica.serves("rel-b"))
    assert replica.predict(photo)[1]["generation"] == 2


def test_a_next_release_that_is_bad_is_known_before_anybody_promotes_it(
    replica: Any, artifact: Callable[..., bytes], until: Callable[..., None]
) -> None:
    replica.assign(
        replica.release("rel-a", artifact("a"), 1), following=replica.release("rel-b", b"junk")
    )
    until(lambda: "rel-b" in replica.follower.report().models["laundry"].failed)
    assert replica.serves("rel-a")
