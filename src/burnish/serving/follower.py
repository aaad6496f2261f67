"""Bringing what is in memory to what the control plane assigned.

The follower swaps at once to an active release that is already warm (so a rollback does not wait
behind a load), orders what is missing, keeps what is wanted and retires the rest. Absence is no
instruction: a model that serves goes on serving if the assignment no longer speaks of it, and a
generation smaller than one that was seen is an old assignment, which is ignored.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from burnish.kernel.inference import LoadedModel
from burnish.releases.assignment import Assigned, Assignment, ModelAssignment
from burnish.serving.model import (
    SWAPS_REPORTED,
    ModelReport,
    Order,
    ReplicaReport,
    ServingRelease,
    Swap,
)
from burnish.serving.ports import Observer
from burnish.serving.router import Resident, Router, Slot

RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # waits before an artifact is asked for again
REPORTED_TRIES: Final = 3  # failures that may pass are reported from this one on


@dataclass(slots=True)
class _Held:
    """A release in memory."""

    assigned: Assigned
    labels: tuple[str, ...]
    resident: Resident
    ready_seconds: float  # 0 once it has been reported by a swap


@dataclass(slots=True)
class _Failure:
    """Why a release is not in memory, and when to try again; never if `retry_at` is None."""

    assigned: Assigned
    reason: str
    tries: int
    retry_at: float | None

    def shown(self) -> bool:
        return self.retry_at is None or self.tries >= REPORTED_TRIES


@dataclass(slots=True)
class _Model:
    """One model: what is assigned, what is held, what failed."""

    assignment: ModelAssignment
    serving: Assigned | None = None
    held: dict[str, _Held] = field(default_factory=dict)
    failures: dict[str, _Failure] = field(default_factory=dict)
    learned: dict[str, float] = field(default_factory=dict)  # release -> when it was assigned, s
    swaps: deque[Swap] = field(default_factory=lambda: deque(maxlen=SWAPS_REPORTED))

    def stale(self, update: ModelAssignment) -> bool:
        """Tell whether `update` is older than what is known."""
        known, new = self.assignment.active, update.active
        if known is None:
            return False
        if new is None:
            return True
        if new.release == known.release:
            return _generation(new) < _generation(known)
        return _generation(new) <= _generation(known)


class Follower:
    """Holds what is assigned and lets the router follow. Safe in any thread.

    `now` is a monotonic clock in seconds. `free` takes models that nobody uses any more.
    """

    def __init__(
        self,
        router: Router,
        *,
        url: str,
        now: Callable[[], float],
        free: Callable[[LoadedModel], None],
        observer: Observer,
    ) -> None:
        self._router = router
        self._url = url
        self._now = now
        self._free = free
        self._observer = observer
        self._lock = threading.RLock()
        self._models: dict[str, _Model] = {}
        self._assigned = False
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener`, briefly, after each change of what is held or ordered."""
        self._listeners.append(listener)

    def follow(self, assignment: Assignment) -> None:
        """Take an assignment: swap to what is warm, order what is missing, retire the rest."""
        with self._lock:
            self._assigned = True
            for name, update in assignment.models.items():
                known = self._models.get(name)
                if known is None:
                    known = self._models[name] = _Model(update)
                elif known.stale(update):
                    continue
                known.assignment = update
                for assigned in update.wanted():
                    known.learned.setdefault(assigned.release, self._now())
            self._router.declare(self._models)
            for name in assignment.models:
                self._settle(name)
        self._tell()

    def next_order(self) -> Order | None:
        """Return the most urgent release to load: active before next before previous."""
        with self._lock:
            ranked = [
                (rank, name, assigned)
                for name, known in self._models.items()
                for rank, assigned in enumerate(known.assignment.wanted())
                if self._missing(known, assigned)
            ]
            if not ranked:
                return None
            _, name, assigned = min(ranked, key=lambda entry: entry[:2])
            return Order(model=name, labels=self._models[name].assignment.labels, assigned=assigned)

    def loaded(self, order: Order, model: LoadedModel) -> None:
        """Hold a model that is ready, and serve it if it is the active one."""
        release = order.assigned.release
        with self._lock:
            known = self._models[order.model]
            seconds = self._now() - known.learned.get(release, self._now())
            known.failures.pop(release, None)
            known.held[release] = _Held(
                order.assigned, order.labels, Resident(model, self._free), seconds
            )
            self._settle(order.model)  # retires it at once if it is no longer wanted
        self._tell()

    def failed(self, order: Order, reason: str, *, final: bool) -> None:
        """Note why a release is not in memory; what serves goes on."""
        release = order.assigned.release
        with self._lock:
            known = self._models[order.model]
            before = known.failures.get(release)
            tries = 1 + (before.tries if before is not None else 0)
            wait = RETRY_S[min(tries, len(RETRY_S)) - 1]
            failure = _Failure(order.assigned, reason, tries, None if final else self._now() + wait)
            known.failures[release] = failure
        if final or tries == REPORTED_TRIES:
            self._observer.refused(order.model, release, reason)
            self._tell()

    def remembered(self) -> Assignment:
        """Return what to start from without a control plane: what serves, and what is kept warm."""
        with self._lock:
            return Assignment(
                models={
                    name: msgspec.structs.replace(
                        known.assignment, active=known.serving or known.assignment.active, next=None
                    )
                    for name, known in self._models.items()
                }
            )

    def report(self) -> ReplicaReport:
        """Return what is held of each model, for the control plane."""
        with self._lock:
            return ReplicaReport(
                url=self._url,
                models={name: _report(known) for name, known in self._models.items()},
            )

    def captured(self, model: str) -> float:
        """Return the share of a model's inputs that is to be kept."""
        known = self._models.get(model)
        return known.assignment.capture if known is not None else 1.0

    def unready(self) -> list[str]:
        """Return why this replica should not get requests yet; nothing if it should."""
        with self._lock:
            if not self._assigned:
                return ["no assignment yet: neither a control plane nor a remembered one"]
            return [
                f"{name}: release {known.assignment.active.release} is not in memory yet"
                for name, known in self._models.items()
                if known.assignment.active is not None and known.serving is None
            ]

    def _missing(self, known: _Model, assigned: Assigned) -> bool:
        if assigned.release in known.held:
            return False
        failure = known.failures.get(assigned.release)
        if failure is None or failure.assigned.artifact != assigned.artifact:
            return True
        return failure.retry_at is not None and self._now() >= failure.retry_at

    def _settle(self, name: str) -> None:
        """Swap if the active release is ready, then retire what nobody wants."""
        known = self._models[name]
        active = known.assignment.active
        if active is not None and active.release in known.held and _newer(active, known.serving):
            self._swap(name, known, active)
        wanted = {assigned.release for assigned in known.assignment.wanted()}
        if known.serving is not None:
            wanted.add(known.serving.release)
        for release in known.held.keys() - wanted:
            known.held.pop(release).resident.retire()
        for release in known.failures.keys() - wanted:
            del known.failures[release]
        for release in known.learned.keys() - wanted:
            del known.learned[release]

    def _swap(self, name: str, known: _Model, active: Assigned) -> None:
        held = known.held[active.release]
        slot = Slot(
            model=name,
            release=active.release,
            generation=_generation(active),
            model_version=active.model_version,
            labels=held.labels,
            resident=held.resident,
        )
        swap = Swap(
            from_release=known.serving.release if known.serving is not None else None,
            to_release=active.release,
            generation=slot.generation,
            swap_us=self._router.swap(slot),
            ready_seconds=held.ready_seconds,
        )
        held.ready_seconds = 0.0
        known.serving = active
        known.swaps.append(swap)
        self._observer.swapped(name, swap)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _generation(assigned: Assigned) -> int:
    """Return the fencing token; one that was never promoted has none and loses to every other."""
    return assigned.generation if assigned.generation is not None else 0


def _newer(active: Assigned, serving: Assigned | None) -> bool:
    return serving is None or _generation(active) > _generation(serving)


def _report(known: _Model) -> ModelReport:
    serving = known.serving
    shown: Mapping[str, _Failure] = {r: f for r, f in known.failures.items() if f.shown()}
    return ModelReport(
        serving=(
            ServingRelease(release=serving.release, generation=_generation(serving))
            if serving is not None
            else None
        ),
        loaded=tuple(sorted(known.held)),
        failed={release: failure.reason for release, failure in shown.items()},
        swaps=tuple(known.swaps),
    )
