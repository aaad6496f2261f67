"""Making a release ready beside the one that serves: fetch, digest, load, warm, check.

All of it happens in one thread that yields to those who answer requests, so that they do not feel
it. Models that are no longer needed are freed there too.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, cycle, islice, repeat
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.kernel.digest import digest
from burnish.kernel.errors import NotFound, Unavailable
from burnish.kernel.inference import ArtifactRejected, Engine, LoadedModel
from burnish.serving.model import Order
from burnish.serving.ports import Artifacts, RecentInputs

IMAGE: Final = (224, 224, 3)  # height, width, RGB
WARM_BATCHES: Final = (1, 2, 4, 8)  # sizes whose memory is laid out before the first request
SUM_TOLERANCE: Final = 1e-3  # of a row of float32 probabilities
STOP_S: Final = 10.0  # how long an order in hand may hold up the end of the process
IDLE_S: Final = 0.25  # how often a loader without work looks for retries that became due


class Source(Protocol):
    """Who says what to make ready, and hears what came of it."""

    def next_order(self) -> Order | None:
        """Return the most urgent release that is neither held nor given up, None if none is."""
        ...

    def loaded(self, order: Order, model: LoadedModel) -> None:
        """Take over a model that is ready to serve."""
        ...

    def failed(self, order: Order, reason: str, *, final: bool) -> None:
        """Hear why a release could not be made ready; a failure that is not final may pass."""
        ...


def prepare(
    order: Order, *, artifacts: Artifacts, engine: Engine, recent: RecentInputs
) -> LoadedModel:
    """Return the model of an order, warmed and checked.

    Raises ArtifactRejected if it must never serve, NotFound, Unavailable or OSError if its bytes
    cannot be had now.
    """
    artifact = order.assigned.artifact
    data = artifacts.fetch(artifact)
    if digest(data) != artifact.sha256:
        raise ArtifactRejected(
            f"The artifact has digest {digest(data)}, not {artifact.sha256} as released.",
            key=artifact.key,
        )
    model = engine.load(data)
    try:
        check_labels(model.labels, order.labels)
        inputs = [*recent.sample(order.model), *_synthetic()]
        for batch in _rehearsal(inputs):
            check(model.predict(batch), rows=len(batch), classes=len(order.labels))
    except BaseException:
        model.close()
        raise
    return model


def check_labels(labels: tuple[str, ...], assigned: tuple[str, ...]) -> None:
    """Raise ArtifactRejected unless the artifact answers the model's classes, in their order."""
    if labels != assigned:
        raise ArtifactRejected(f"The artifact answers {list(labels)}, not {list(assigned)}.")


def check(probabilities: NDArray[np.float32], *, rows: int, classes: int) -> None:
    """Raise ArtifactRejected unless these are `rows` distributions over `classes`."""
    if probabilities.shape != (rows, classes):
        raise ArtifactRejected(
            f"The answer has shape {probabilities.shape}: it must be {(rows, classes)}."
        )
    if not np.isfinite(probabilities).all():
        raise ArtifactRejected("The answer is not finite.")
    if (probabilities < 0).any() or (np.abs(probabilities.sum(axis=1) - 1) > SUM_TOLERANCE).any():
        raise ArtifactRejected("The answer is no probability distribution: a row must sum to 1.")


def _synthetic() -> list[NDArray[np.uint8]]:
    """Return a black, a white, a graded and a noisy image, the same ones each time."""
    noise = np.random.default_rng(0).integers(0, 256, IMAGE, dtype=np.uint8)
    grade = np.broadcast_to(np.arange(IMAGE[1], dtype=np.uint8)[None, :, None], IMAGE)
    return [np.zeros(IMAGE, np.uint8), np.full(IMAGE, 255, np.uint8), grade, noise]


def _rehearsal(inputs: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield a batch of every size to be warm for, until every input was shown once."""
    ring, shown = cycle(inputs), 0
    for size in chain(WARM_BATCHES, repeat(WARM_BATCHES[-1])):
        yield np.stack(list(islice(ring, size)))
        shown += size
        if size == WARM_BATCHES[-1] and shown >= len(inputs):
            return


class Loader:
    """The thread in which releases are made ready and freed.

    `calm` is called in it once, first: it lowers the thread's priority. Threads that an engine
    starts while it loads inherit that, so an engine for serving computes in its caller's thread.
    `trim` is called after something was freed: it gives memory back to the system.
    """

    def __init__(
        self,
        prepare: Callable[[Order], LoadedModel],
        *,
        calm: Callable[[], None],
        trim: Callable[[], None],
    ) -> None:
        self._prepare = prepare
        self._calm = calm
        self._trim = trim
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._freed: queue.SimpleQueue[LoadedModel] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def free(self, model: LoadedModel) -> None:
        """Take a model that nobody uses any more; return at once."""
        self._freed.put(model)
        self._wake.set()

    def poke(self) -> None:
        """Look for orders now."""
        self._wake.set()

    def start(self, source: Source) -> None:
        """Begin to work for `source`."""
        self._thread = threading.Thread(
            target=self._run, args=(source,), name="loader", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Finish the order in hand, unless it hangs, free what waits for it, end the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self, source: Source) -> None:
        self._calm()
        while not self._stopping.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._free_all()
            while not self._stopping.is_set() and (order := source.next_order()) is not None:
                self._make_ready(source, order)
                self._free_all()
        self._free_all()

    def _make_ready(self, source: Source, order: Order) -> None:
        try:
            model = self._prepare(order)
        except ArtifactRejected as error:
            source.failed(order, error.detail, final=True)
        except (NotFound, Unavailable, OSError) as error:
            source.failed(order, f"The artifact cannot be had: {error}", final=False)
        except Exception as error:  # noqa: BLE001  an artifact that breaks its engine in any way is bad, and this thread must outlive it
            source.failed(order, f"{type(error).__name__}: {error}", final=True)
        else:
            source.loaded(order, model)

    def _free_all(self) -> None:
        freed = False
        while not self._freed.empty():
            self._freed.get().close()
            freed = True
        if freed:
            self._trim()
