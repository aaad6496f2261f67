"""One table from models to the releases that answer for them, replaced as a whole.

A request takes a *lease* on a slot, answers wholly from it and gives it back. A swap makes a new
table and moves one pointer to it; who holds a lease on the old slot is not disturbed. A release
leaves memory when it was retired *and* its last lease came back.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from burnish.kernel.inference import LoadedModel
from burnish.serving.model import ModelNotReady, ModelUnknown, OldGeneration

NANOSECONDS_PER_MICROSECOND = 1000


class Resident:
    """A model in memory, and how many requests are answering from it.

    `free` is called exactly once, after retirement and the last lease, in the thread that gave
    that lease back: it should hand the model on rather than take its time.
    """

    def __init__(self, model: LoadedModel, free: Callable[[LoadedModel], None]) -> None:
        self.model = model
        self._free = free
        self._lock = threading.Lock()
        self._leases = 0
        self._retired = False

    def acquire(self) -> bool:
        """Take a lease; False if it was retired in the meantime."""
        with self._lock:
            if self._retired:
                return False
            self._leases += 1
            return True

    def release(self) -> None:
        """Give a lease back."""
        with self._lock:
            self._leases -= 1
            last = self._retired and self._leases == 0
        if last:
            self._free(self.model)

    def retire(self) -> None:
        """Grant no more leases, and free the model after the last one. Once is enough."""
        with self._lock:
            unused = not self._retired and self._leases == 0
            self._retired = True
        if unused:
            self._free(self.model)


@dataclass(frozen=True, slots=True)
class Slot:
    """Everything an answer is made from and signed with; never changed, only replaced."""

    model: str
    release: str
    generation: int
    model_version: str
    labels: tuple[str, ...]
    resident: Resident


class Router:
    """Which slot answers for which model. Reading takes no lock; there is one writer at a time."""

    def __init__(self, perf_ns: Callable[[], int]) -> None:
        self._perf_ns = perf_ns
        self._table: Mapping[str, Slot | None] = {}  # None: known, but nothing in memory yet
        self._writing = threading.Lock()

    @contextmanager
    def lease(self, model: str) -> Iterator[Slot]:
        """Hold the slot that serves now. Raises ModelUnknown or ModelNotReady."""
        slot = self.slot(model)
        while not slot.resident.acquire():
            slot = self.slot(model)  # it was swapped out and retired since we read the table
        try:
            yield slot
        finally:
            slot.resident.release()

    def slot(self, model: str) -> Slot:
        """Return the slot that serves now, to look at. Raises ModelUnknown or ModelNotReady."""
        try:
            slot = self._table[model]
        except KeyError:
            raise ModelUnknown(f"There is no model {model!r}.", model=model) from None
        if slot is None:
            raise ModelNotReady(f"{model!r} has no release yet: promote one.", model=model)
        return slot

    def slots(self) -> Mapping[str, Slot | None]:
        """Return the table as it is now; None stands for a model without a release."""
        return self._table

    def declare(self, models: Iterable[str]) -> None:
        """Make models known; those that serve go on, those that neither serve nor are named go."""
        with self._writing:
            serving = {name: slot for name, slot in self._table.items() if slot is not None}
            self._table = {**dict.fromkeys(models), **serving}

    def swap(self, slot: Slot) -> float:
        """Let `slot` answer for its model from now on; return the microseconds that it took.

        The caller retires the resident of the old slot, or keeps it warm. Raises OldGeneration.
        """
        started = self._perf_ns()
        with self._writing:
            serving = self._table.get(slot.model)
            if serving is not None and slot.generation <= serving.generation:
                raise OldGeneration(
                    f"{slot.model!r} serves generation {serving.generation}, "
                    f"so {slot.generation} is passed.",
                    model=slot.model,
                )
            self._table = {**self._table, slot.model: slot}
        return (self._perf_ns() - started) / NANOSECONDS_PER_MICROSECOND
