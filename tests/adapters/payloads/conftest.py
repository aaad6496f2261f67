"""A place on the web where photos lie, and what brings them into the world."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.fetch import Bucketry, PayloadFetcher
from burnish.adapters.payloads.pictures import Pictures
from burnish.adapters.payloads.web import Web
from burnish.adapters.sql.payloads import SqlPayloads
from burnish.feedback.model import FeedbackRecord
from burnish.kernel.policy import ModelPolicy, policy_of
from support.http_server import HttpServer, QuietHandler
from support.world import World, record


class Place:
    """A web server with photos by path, which may be told to fail."""

    def __init__(self) -> None:
        self.photos: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.answers = 10**9  # then it fails
        place = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                place.asked[self.path] += 1
                place.answers -= 1
                found = place.photos.get(self.path)
                status = 503 if place.answers < 0 else 404 if found is None else 200
                self.reply(status, found or b"")

        self._server = HttpServer(Handler)
        self.host = f"127.0.0.1:{self._server.port}"

    def uri(self, name: str) -> str:
        return f"http://{self.host}/{name}"

    def put(self, name: str, photo: bytes) -> str:
        self.photos[f"/{name}"] = photo
        return self.uri(name)

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def collector_of(
    world: World, place: Place | None = None, *, parallel: int = 4
) -> PayloadCollector:
    payloads = SqlPayloads(world.engine)
    most = 1 << 20
    host = place.host if place else ""
    return PayloadCollector(
        views=world.view,
        payloads=payloads,
        objects=world.objects,
        fetcher=PayloadFetcher(
            Web(max_bytes=most, timeout_s=20, private_hosts=frozenset({host})),
            Bucketry(),
            max_bytes=most,
            timeout_s=20,
            pause=lambda _: None,
        ),
        pictures=Pictures(payloads, world.objects),
        clock=world.clock,
        parallel=parallel,
    )


@pytest.fixture
def collector(world: World, place: Place) -> PayloadCollector:
    return collector_of(world, place)


def policy(place: Place | None = None, **dataset: Any) -> ModelPolicy:
    return policy_of(
        {
            "name": "laundry",
            "kind": "image-classification",
            "labels": ["good", "defect"],
            "dataset": {"holdout": 10, **dataset},
            "payload": {"allow": [place.host] if place else []},
        }
    )


@pytest.fixture
def say(world: World) -> Callable[..., None]:
    """Persists and projects records: (subject, label, payload) each."""

    def persist(*said: tuple[str, str, str], **changes: Any) -> None:
        records: list[FeedbackRecord] = [
            record(subject, label, payload=uri, **changes) for subject, label, uri in said
        ]
        world.say(*records)
        world.project()

    return persist
