"""The loader: what may serve, what may not, and that its thread outlives both."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from burnish.kernel.digest import digest
from burnish.kernel.inference import ArtifactRejected, LoadedModel
from burnish.kernel.objects import ObjectNotFound
from burnish.releases.assignment import ArtifactRef, Assigned
from burnish.serving.loader import WARM_BATCHES, Loader, prepare
from burnish.serving.model import Order

LABELS = ("good", "defect")
GOOD = np.array([0.25, 0.75], np.float32)
Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(eq=False)
class Toy:
    """A model that computes what the test says."""

    compute: Compute
    labels: tuple[str, ...] = LABELS
    closed: bool = False
    seen: list[NDArray[np.uint8]] = field(default_factory=list)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen.append(images)
        return self.compute(images)

    def close(self) -> None:
        self.closed = True


@dataclass
class Shelf:
    """Artifacts, an engine for them and captured inputs, all in memory."""

    model: Toy
    data: bytes = b"artifact"
    captured: Sequence[NDArray[np.uint8]] = ()

    def fetch(self, artifact: ArtifactRef) -> bytes:
        return self.data

    def load(self, artifact: bytes) -> LoadedModel:
        return self.model

    def sample(self, model: str) -> Sequence[NDArray[np.uint8]]:
        return self.captured


def constant(row: NDArray[np.float32]) -> Compute:
    return lambda images: np.tile(row, (len(images), 1))


def order(data: bytes = b"artifact") -> Order:
    artifact = ArtifactRef(key="models/1", sha256=digest(data), bytes=len(data))
    return Order(
        model="laundry",
        labels=LABELS,
        assigned=Assigned(release="r1", model_version="1.0.0", artifact=artifact),
    )


def test_a_sound_artifact_is_warmed_at_every_batch_size_with_every_captured_input() -> None:
    captured = [np.full((224, 224, 3), shade, np.uint8) for shade in range(10, 21)]
    shelf = Shelf(Toy(constant(GOOD)), captured=captured)
    model = prepare(order(), artifacts=shelf, engine=shelf, recent=shelf)
    assert model is shelf.model
    assert {len(batch) for batch in shelf.model.seen} == set(WARM_BATCHES)
    shades = {int(image[0, 0, 0]) for batch in shelf.model.seen for image in batch}
    assert set(range(10, 21)) <= shades


def nan_on_white(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    answer = constant(GOOD)(images)
    answer[images.mean(axis=(1, 2, 3)) > 200] = np.nan
    return answer


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (nan_on_white, "not finite"),
        (constant(np.array([0.5, 0.6], np.float32)), "sum to 1"),
        (constant(np.array([-0.5, 1.5], np.float32)), "distribution"),
        (constant(np.array([0.2, 0.3, 0.5], np.float32)), "shape"),
    ],
)
def test_a_model_that_answers_no_distribution_is_refused_and_freed(
    compute: Compute, reason: str
) -> None:
    shelf = Shelf(Toy(compute))
    with pytest.raises(ArtifactRejected, match=reason):
        prepare(order(), artifacts=shelf, engine=shelf, recent=shelf)
    assert shelf.model.closed


def test_a_model_of_other_labels_is_refused() -> None:
    shelf = Shelf(Toy(constant(GOOD), labels=("defect", "good")))
    with pytest.raises(ArtifactRejected, match=r"\['defect', 'good'\]"):
        prepare(order(), artifacts=shelf, engine=shelf, recent=shelf)


def test_bytes_of_another_digest_never_reach_the_engine() -> None:
    shelf = Shelf(Toy(constant(GOOD)), data=b"tampered")
    with pytest.raises(ArtifactRejected, match="digest"):
        prepare(order(), artifacts=shelf, engine=shelf, recent=shelf)
    assert shelf.model.seen == []


class Queue:
    """A source of orders that keeps what it hears."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.outcomes: list[str] = []
        self.done = threading.Event()

    def next_order(self) -> Order | None:
        if self.left == 0:
            self.done.set()
            return None
        self.left -= 1
        return order()

    def loaded(self, one: Order, model: LoadedModel) -> None:
        self.outcomes.append("loaded")

    def failed(self, one: Order, reason: str, *, final: bool) -> None:
        self.outcomes.append(f"{'final' if final else 'may pass'}: {reason}")


def test_the_thread_outlives_every_kind_of_failure() -> None:
    # given artifacts that fail in every way, and a good one
    failures: list[Exception | None] = [
        ArtifactRejected("not finite"),
        ObjectNotFound.of("object", "models/1"),
        OSError("disk"),
        ZeroDivisionError("engine bug"),
        None,
    ]
    model = Toy(constant(GOOD))

    def attempt(_: Order) -> LoadedModel:
        failure = failures.pop(0)
        if failure is not None:
            raise failure
        return model

    calmed: list[str] = []
    source = Queue(len(failures))
    loader = Loader(
        attempt, calm=lambda: calmed.append(threading.current_thread().name), trim=lambda: None
    )
    # when they are loaded
    loader.start(source)
    loader.poke()
    assert source.done.wait(10)
    loader.stop()
    # then each is heard of, and the thread lowered its own priority
    assert source.outcomes == [
        "final: not finite",
        "may pass: The artifact cannot be had: There is no object 'models/1'.",
        "may pass: The artifact cannot be had: disk",
        "final: ZeroDivisionError: engine bug",
        "loaded",
    ]
    assert calmed == ["loader"]


def test_what_nobody_uses_is_freed_in_the_loaders_thread_and_memory_given_back() -> None:
    trimmed = threading.Event()
    loader = Loader(lambda _: Toy(constant(GOOD)), calm=lambda: None, trim=trimmed.set)
    loader.start(Queue(0))
    model = Toy(constant(GOOD))
    started = time.monotonic()
    loader.free(model)
    assert trimmed.wait(10), f"not trimmed after {time.monotonic() - started} s"
    assert model.closed
    loader.stop()
