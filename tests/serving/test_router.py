"""The router: what no interleaving of leases, swaps and retirements may ever show."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from burnish.kernel.inference import LoadedModel
from burnish.serving.model import ModelNotReady, ModelUnknown, OldGeneration
from burnish.serving.router import Resident, Router, Slot


@dataclass(eq=False)
class Toy:
    """A model that knows how often it was freed."""

    labels: tuple[str, ...] = ("good", "defect")
    closed: int = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.tile(np.array([0.75, 0.25], np.float32), (len(images), 1))

    def close(self) -> None:
        self.closed += 1


def free(model: LoadedModel) -> None:
    model.close()


def slot(generation: int, resident: Resident) -> Slot:
    return Slot(
        model="laundry",
        release=f"r{generation}",
        generation=generation,
        model_version=f"1.{generation}.0",
        labels=("good", "defect"),
        resident=resident,
    )


class Routing(RuleBasedStateMachine):
    """Requests come and go while releases are swapped in, kept warm, rolled back and retired."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = itertools.count()
        self.router = Router(lambda: next(self.ticks) * 1000)
        self.router.declare(["laundry"])
        self.generation = 0
        self.warm: list[Slot] = []  # held but not serving
        self.everything: list[Slot] = []
        self.leases: list[tuple[object, Slot]] = []

    def serving(self) -> Slot | None:
        return self.router.slots()["laundry"]

    @rule(keep=st.booleans())
    def a_new_release_is_swapped_in(self, keep: bool) -> None:
        old = self.serving()
        self.generation += 1
        new = slot(self.generation, Resident(Toy(), free))
        assert self.router.swap(new) == 1.0  # one tick of a microsecond
        self.everything.append(new)
        if old is not None:
            self.leave(old, keep)

    @precondition(lambda self: self.warm)
    @rule(keep=st.booleans())
    def a_warm_release_is_rolled_back_to(self, keep: bool) -> None:
        old = self.serving()
        assert old is not None
        back = self.warm.pop()
        self.generation += 1
        self.router.swap(slot(self.generation, back.resident))
        self.leave(old, keep)

    def leave(self, old: Slot, keep: bool) -> None:
        if keep:
            self.warm.append(old)
        else:
            old.resident.retire()

    @precondition(lambda self: self.warm)
    @rule()
    def a_warm_release_is_retired(self) -> None:
        self.warm.pop(0).resident.retire()

    @precondition(lambda self: self.generation > 0)
    @rule(behind=st.integers(0, 3))
    def a_passed_generation_is_refused(self, behind: int) -> None:
        before = self.serving()
        with pytest.raises(OldGeneration):
            self.router.swap(slot(self.generation - behind, Resident(Toy(), free)))
        assert self.serving() is before

    @precondition(lambda self: self.generation > 0)
    @rule()
    def a_request_takes_a_lease(self) -> None:
        context = self.router.lease("laundry")
        leased = context.__enter__()
        assert leased is self.serving()
        self.leases.append((context, leased))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def a_request_gives_its_lease_back(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.leases) - 1))
        context, _ = self.leases.pop(index)
        context.__exit__(None, None, None)

    @invariant()
    def no_lease_sees_a_freed_model(self) -> None:
        assert all(leased.resident.model.closed == 0 for _, leased in self.leases)

    @invariant()
    def what_serves_or_is_warm_is_in_memory(self) -> None:
        serving = self.serving()
        held = [*self.warm, *([serving] if serving is not None else [])]
        assert all(one.resident.model.closed == 0 for one in held)

    @invariant()
    def everything_else_was_freed_exactly_once(self) -> None:
        serving = self.serving()
        used = {id(one.resident) for one in self.warm} | {id(s.resident) for _, s in self.leases}
        if serving is not None:
            used.add(id(serving.resident))
        gone = [one for one in self.everything if id(one.resident) not in used]
        assert all(one.resident.model.closed == 1 for one in gone)


TestRouting = Routing.TestCase
TestRouting.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_model_nobody_declared_is_unknown() -> None:
    with pytest.raises(ModelUnknown), Router(lambda: 0).lease("nothing"):
        pass


def test_a_declared_model_without_a_release_is_not_ready() -> None:
    router = Router(lambda: 0)
    router.declare(["laundry"])
    with pytest.raises(ModelNotReady), router.lease("laundry"):
        pass


def test_a_lease_that_meets_a_retirement_takes_the_new_slot() -> None:
    # given a release that is swapped out and retired between reading the table and leasing
    router = Router(lambda: 0)
    new = slot(2, Resident(Toy(), free))

    class Late(Resident):
        """Retired at the very moment that somebody asks for it."""

        def acquire(self) -> bool:
            router.swap(new)
            self.retire()
            return super().acquire()

    late = Late(Toy(), free)
    router.swap(slot(1, late))
    # when a request takes its lease
    with router.lease("laundry") as leased:
        # then it answers from the new release, and the old one is gone
        assert leased is new
        assert late.model.closed == 1
