"""The follower: whatever is assigned, loaded, broken or repeated, what serves is sound."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from burnish.kernel.inference import LoadedModel
from burnish.releases.assignment import ArtifactRef, Assigned, Assignment, ModelAssignment
from burnish.serving.follower import REPORTED_TRIES, Follower
from burnish.serving.model import ServingRelease, Swap
from burnish.serving.router import Router

LABELS = ("good", "defect")


@dataclass(eq=False)
class Toy:
    """A model that knows how often it was freed."""

    release: str
    labels: tuple[str, ...] = LABELS
    closed: int = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.tile(np.array([0.75, 0.25], np.float32), (len(images), 1))

    def close(self) -> None:
        self.closed += 1


class Heard:
    """An observer that keeps what it heard."""

    def __init__(self) -> None:
        self.swaps: list[Swap] = []
        self.refusals: list[tuple[str, str]] = []

    def swapped(self, model: str, swap: Swap) -> None:
        self.swaps.append(swap)

    def refused(self, model: str, release: str, reason: str) -> None:
        self.refusals.append((release, reason))


class Ticking:
    """A clock in seconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def free(model: LoadedModel) -> None:
    model.close()


def release(number: int, generation: int | None = None) -> Assigned:
    artifact = ArtifactRef(key=f"models/{number}", sha256=f"sha256:{number:064x}", bytes=1)
    return Assigned(
        release=f"r{number}",
        model_version=f"1.{number}.0",
        artifact=artifact,
        generation=generation,
    )


def laundry(
    active: Assigned | None = None,
    following: Assigned | None = None,
    previous: Assigned | None = None,
) -> Assignment:
    model = ModelAssignment(
        kind="image-classification", labels=LABELS, active=active, next=following, previous=previous
    )
    return Assignment(models={"laundry": model})


@dataclass
class Replica:
    """A follower with its router, loaded by hand."""

    def __post_init__(self) -> None:
        self.router = Router(lambda: 0)
        self.heard = Heard()
        self.clock = Ticking()
        self.follower = Follower(
            self.router, url="http://replica", now=self.clock, free=free, observer=self.heard
        )

    def load(self, bad: frozenset[str] = frozenset()) -> Toy | None:
        """Do one order, if there is one."""
        order = self.follower.next_order()
        if order is None:
            return None
        if order.assigned.release in bad:
            self.follower.failed(order, "not finite", final=True)
            return None
        model = Toy(order.assigned.release)
        self.follower.loaded(order, model)
        return model

    def load_all(self, bad: frozenset[str] = frozenset()) -> None:
        while self.follower.next_order() is not None:
            self.load(bad)

    def serving(self) -> ServingRelease | None:
        return self.follower.report().models["laundry"].serving


class Following(RuleBasedStateMachine):
    """A control plane promotes, prepares, rolls back and repeats itself; the replica follows."""

    def __init__(self) -> None:
        super().__init__()
        self.replica = Replica()
        self.models: dict[str, list[Toy]] = {}
        self.number = 0
        self.generation = 0
        self.bad: set[str] = set()
        self.active: Assigned | None = None
        self.following: Assigned | None = None
        self.previous: Assigned | None = None
        self.history: list[Assignment] = []
        self.served = 0  # greatest generation that served
        self.leases: list[tuple[object, LoadedModel]] = []

    def tell(self) -> None:
        assignment = laundry(self.active, self.following, self.previous)
        self.history.append(assignment)
        self.replica.follower.follow(assignment)

    @rule(bad=st.booleans())
    def the_next_release_is_named(self, bad: bool) -> None:
        self.number += 1
        self.following = release(self.number)
        if bad:
            self.bad.add(self.following.release)
        self.tell()

    @precondition(lambda self: self.following is not None)
    @rule(keep=st.booleans())
    def the_next_release_is_promoted(self, keep: bool) -> None:
        self.generation += 1
        self.previous = self.active if keep else None
        self.active = release(int(self.following.release[1:]), self.generation)
        self.following = None
        self.tell()

    @precondition(lambda self: self.previous is not None)
    @rule()
    def the_previous_release_is_rolled_back_to(self) -> None:
        self.generation += 1
        self.active = release(int(self.previous.release[1:]), self.generation)
        self.previous = None
        self.tell()

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def an_old_assignment_arrives_again(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.history)).models["laundry"].active
        if self.active is not None and (old is None or old.generation < self.generation):
            before = self.replica.follower.report()
            self.replica.follower.follow(laundry(old))
            assert self.replica.follower.report() == before

    @rule()
    def the_loader_does_one_order(self) -> None:
        model = self.replica.load(frozenset(self.bad))
        if model is not None:
            self.models.setdefault(model.release, []).append(model)

    @precondition(lambda self: self.served > 0)
    @rule()
    def a_request_takes_a_lease(self) -> None:
        context = self.replica.router.lease("laundry")
        self.leases.append((context, context.__enter__().resident.model))

    @precondition(lambda self: self.leases)
    @rule()
    def a_request_gives_its_lease_back(self) -> None:
        context, _ = self.leases.pop(0)
        context.__exit__(None, None, None)

    @precondition(lambda self: self.served > 0)
    @rule()
    def the_replica_restarts_without_a_control_plane(self) -> None:
        before = self.replica.serving()
        remembered = self.replica.follower.remembered()
        while self.leases:
            self.a_request_gives_its_lease_back()
        self.models.clear()
        self.replica = Replica()
        self.replica.follower.follow(remembered)
        while self.replica.follower.next_order() is not None:
            self.the_loader_does_one_order()
        assert self.replica.serving() == before
        self.tell()

    @invariant()
    def generations_only_grow(self) -> None:
        slot = self.replica.router.slots().get("laundry")
        if slot is not None:
            assert slot.generation >= self.served
            self.served = slot.generation

    @invariant()
    def a_failing_artifact_never_serves(self) -> None:
        slot = self.replica.router.slots().get("laundry")
        assert slot is None or slot.release not in self.bad

    @invariant()
    def the_active_release_serves_as_soon_as_it_is_loaded(self) -> None:
        if self.active is not None:
            report = self.replica.follower.report().models["laundry"]
            if self.active.release in report.loaded:
                assert report.serving == ServingRelease(
                    release=self.active.release, generation=self.generation
                )

    @invariant()
    def no_lease_sees_a_freed_model(self) -> None:
        assert all(model.closed == 0 for _, model in self.leases)

    @invariant()
    def only_what_is_wanted_or_leased_stays_in_memory(self) -> None:
        report = self.replica.follower.report().models.get("laundry")
        leased = {id(model) for _, model in self.leases}
        for name, models in self.models.items():
            for model in models[:-1]:
                assert model.closed == (id(model) not in leased)
            held = report is not None and name in report.loaded
            assert models[-1].closed == (not held and id(models[-1]) not in leased)


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_the_next_release_is_loaded_ahead_and_does_not_serve(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1), release(2)))
    replica.load_all()
    assert replica.serving() == ServingRelease(release="r1", generation=1)
    assert replica.follower.report().models["laundry"].loaded == ("r1", "r2")


def test_a_warm_release_serves_within_the_call_that_promotes_it(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1), release(2)))
    replica.load_all()
    replica.follower.follow(laundry(release(2, 2), None, release(1)))
    assert replica.serving() == ServingRelease(release="r2", generation=2)
    assert replica.follower.next_order() is None


def test_a_rollback_to_the_warm_predecessor_is_a_swap_with_a_greater_generation(
    replica: Replica,
) -> None:
    replica.follower.follow(laundry(release(1, 1)))
    replica.load_all()
    replica.follower.follow(laundry(release(2, 2), None, release(1)))
    replica.load_all()
    replica.follower.follow(laundry(release(1, 3)))
    assert replica.serving() == ServingRelease(release="r1", generation=3)
    last = replica.heard.swaps[-1]
    assert (last.from_release, last.to_release, last.ready_seconds) == ("r2", "r1", 0.0)
    assert replica.follower.report().models["laundry"].loaded == ("r1",)


def test_the_active_release_is_ordered_before_the_next_and_the_previous(replica: Replica) -> None:
    replica.follower.follow(laundry(release(2, 5), release(3), release(1)))
    orders = []
    while (order := replica.follower.next_order()) is not None:
        orders.append(order.assigned.release)
        replica.load()
    assert orders == ["r2", "r3", "r1"]


def test_a_refused_release_is_reported_and_what_serves_goes_on(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1)))
    replica.load_all()
    replica.follower.follow(laundry(release(2, 2), None, release(1)))
    replica.load_all(frozenset({"r2"}))
    report = replica.follower.report().models["laundry"]
    assert report.failed == {"r2": "not finite"}
    assert report.serving == ServingRelease(release="r1", generation=1)
    assert replica.heard.refusals == [("r2", "not finite")]


def test_bytes_that_cannot_be_had_are_asked_for_again_later(replica: Replica) -> None:
    # given an object store that does not answer
    replica.follower.follow(laundry(release(1, 1)))
    for tried in range(1, REPORTED_TRIES + 1):
        order = replica.follower.next_order()
        assert order is not None
        replica.follower.failed(order, "out of reach", final=False)
        assert replica.follower.next_order() is None  # not at once
        shown = replica.follower.report().models["laundry"].failed
        assert bool(shown) == (tried == REPORTED_TRIES)
        replica.clock.seconds += 10
    # when it answers again, then the release serves and the failure is forgotten
    replica.load_all()
    report = replica.follower.report().models["laundry"]
    assert (report.serving, report.failed) == (ServingRelease(release="r1", generation=1), {})


def test_a_release_with_another_artifact_gets_another_try(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1)))
    replica.load_all(frozenset({"r1"}))
    assert replica.follower.next_order() is None
    mended = release(1, 1)
    other = ArtifactRef(key="models/1b", sha256=f"sha256:{7:064x}", bytes=1)
    mended = Assigned(
        release="r1", model_version="1.1.0", artifact=other, generation=mended.generation
    )
    replica.follower.follow(laundry(mended))
    assert replica.follower.next_order() is not None


def test_an_assignment_that_falls_silent_stops_nothing(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1)))
    replica.load_all()
    replica.follower.follow(Assignment())
    replica.follower.follow(laundry())
    assert replica.serving() == ServingRelease(release="r1", generation=1)


def test_a_replica_is_unready_until_every_active_release_is_in_memory(replica: Replica) -> None:
    assert replica.follower.unready()
    replica.follower.follow(laundry())
    assert replica.follower.unready() == []  # nothing to serve yet is no fault of the replica
    replica.follower.follow(laundry(release(1, 1)))
    assert replica.follower.unready() == ["laundry: release r1 is not in memory yet"]
    replica.load_all()
    assert replica.follower.unready() == []


def test_ready_seconds_run_from_learning_of_a_release_to_holding_it(replica: Replica) -> None:
    replica.follower.follow(laundry(None, release(1)))
    replica.clock.seconds = 2.5
    replica.load_all()
    replica.clock.seconds = 60
    replica.follower.follow(laundry(release(1, 1)))
    assert [swap.ready_seconds for swap in replica.heard.swaps] == [2.5]


def test_a_release_that_is_no_longer_wanted_when_it_is_loaded_is_freed(replica: Replica) -> None:
    replica.follower.follow(laundry(release(1, 1), release(2)))
    replica.load()
    order = replica.follower.next_order()
    assert order is not None
    replica.follower.follow(laundry(release(1, 1), release(3)))
    late = Toy("r2")
    replica.follower.loaded(order, late)
    assert late.closed == 1
