"""Contracts of `releases.ports`: ReleaseStore, VersionStore, ReplicaStore."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import IllegalTransition, NotFound
from burnish.kernel.ids import RunId
from burnish.models.model import UnknownModel
from burnish.releases import service
from burnish.releases.model import (
    ModelVersion,
    Release,
    ReleaseEvent,
    ReleaseState,
    StaleGeneration,
)
from support.concurrency import at_once
from support.databases import saved
from support.samples import later, policy, release, replica, version

Units = Callable[..., SqlUnit]


@pytest.fixture
def model(unit: Units) -> str:
    with saved(unit()) as stores:
        return stores.models.add(policy()).name


def added(unit: Units, *, count: int = 1) -> list[Release]:
    with saved(unit()) as stores:
        return [
            stores.releases.add(release(created_at=later(number), model_version=f"1.{number}.0"))
            for number in range(count)
        ]


def promote(unit: Units, target: Release, generation: int) -> Release:
    return service.promote(unit(), target.id, expected=generation, actor=SYSTEM, reason="passed")


def roll_back(unit: Units, generation: int) -> Release:
    return service.rollback(unit(), "laundry", expected=generation, actor=SYSTEM, reason="worse")


def test_a_release_is_found_as_it_was_added(unit: Units, model: str) -> None:
    one, two = added(unit, count=2)
    with unit(reads_only=True) as stores:
        assert stores.releases.get(one.id) == one
        assert stores.releases.history(model) == stores.releases.history() == [two, one]
        assert stores.releases.history("other") == []
        assert stores.releases.active(model) is None
        with pytest.raises(NotFound):
            stores.releases.get(RunId("none"))
        with pytest.raises(UnknownModel):
            stores.releases.active("other")


def test_a_run_releases_once_and_a_person_as_often_as_they_like(unit: Units, model: str) -> None:
    [first] = added(unit)
    with saved(unit()) as stores:
        assert stores.releases.add(release(run=first.run, model_version="9.9.9")) == first
        by_hand = [stores.releases.add(release(run=None)) for _ in range(2)]
    with unit() as stores:
        assert len(stores.releases.history(model)) == 1 + len(by_hand)


def test_a_promotion_moves_the_pointer_and_retires_the_one_before(unit: Units, model: str) -> None:
    one, two = added(unit, count=2)
    promote(unit, one, 0)
    active = promote(unit, two, 1)
    assert (active.state, active.generation, active.previous) == (ReleaseState.ACTIVE, 2, one.id)
    with unit() as stores:
        assert stores.releases.active(model) == active
        assert stores.models.get(model).generation == 2
        assert stores.models.get(model).active_release == two.id
        assert stores.releases.get(one.id).state is ReleaseState.RETIRED


def test_a_promotion_from_another_generation_changes_nothing(unit: Units, model: str) -> None:
    one, two = added(unit, count=2)
    active = promote(unit, one, 0)
    with pytest.raises(StaleGeneration):
        promote(unit, two, 0)
    with unit() as stores:
        assert stores.releases.active(model) == active
        assert stores.releases.get(two.id) == two


def test_of_promotions_at_once_exactly_one_wins(unit: Units, model: str) -> None:
    candidates = added(unit, count=8)
    won, errors = at_once(lambda number: promote(unit, candidates[number], 0))
    assert [release.generation for release in won] == [1]
    assert {type(error) for error in errors} == {StaleGeneration}
    assert len(errors) == 7
    with unit() as stores:
        states = [release.state for release in stores.releases.history(model)]
        assert sorted(states) == [ReleaseState.ACTIVE, *[ReleaseState.READY] * 7]
        assert [entry.action for entry in stores.audit_log.newest(limit=9)] == ["release.promoted"]


def test_of_rollbacks_at_once_exactly_one_happens(unit: Units, model: str) -> None:
    one, two = added(unit, count=2)
    promote(unit, one, 0)
    promote(unit, two, 1)
    back, errors = at_once(lambda _: roll_back(unit, 2))
    assert [(release.id, release.generation) for release in back] == [(one.id, 3)]
    assert len(errors) == 7
    with unit() as stores:
        assert stores.releases.get(two.id).state is ReleaseState.WITHDRAWN
        assert stores.releases.active(model) == back[0]


def test_promotions_and_rollbacks_at_once_leave_one_line_of_generations(
    unit: Units, model: str
) -> None:
    one, two, three = added(unit, count=3)
    promote(unit, one, 0)
    promote(unit, two, 1)

    def move(number: int) -> Release:
        return promote(unit, three, 2) if number % 2 else roll_back(unit, 2)

    moved, errors = at_once(move)
    assert [release.generation for release in moved] == [3]
    assert len(errors) == 7
    with unit() as stores:
        assert stores.releases.active(model) == moved[0]
        active = [r for r in stores.releases.history(model) if r.state is ReleaseState.ACTIVE]
        assert active == moved


def test_a_release_is_promoted_or_abandoned_but_never_both(unit: Units, model: str) -> None:
    [candidate] = added(unit)

    def move(number: int) -> ReleaseState:
        if number % 2:
            return promote(unit, candidate, 0).state
        event = ReleaseEvent.FAIL
        return service.abandon(unit(), candidate.id, event, actor=SYSTEM, reason="late").state

    moved, errors = at_once(move)
    assert len(moved) == 1
    assert {type(error) for error in errors} <= {IllegalTransition, StaleGeneration}
    with unit() as stores:
        assert stores.releases.get(candidate.id).state is moved[0]
        is_active = stores.releases.active(model) is not None
        assert is_active == (moved[0] is ReleaseState.ACTIVE)


def test_what_was_promoted_cannot_be_ended(unit: Units, model: str) -> None:
    [one] = added(unit)
    promote(unit, one, 0)
    with unit() as stores, pytest.raises(IllegalTransition):
        stores.releases.end(one.id, ReleaseEvent.REJECT, "too late")


def test_a_version_is_found_as_it_was_added(unit: Units, model: str) -> None:
    old, new = version("1.9.0"), version("1.10.0", trained_at=later(5))
    with saved(unit()) as stores:
        assert stores.versions.latest(model) is None
        stores.versions.add(new)
        stores.versions.add(old)
    with unit(reads_only=True) as stores:
        assert stores.versions.get(model, "1.9.0") == stores.versions.of_run(old.run) == old
        assert stores.versions.latest(model) == new
        assert stores.versions.of_run(RunId("none")) is None
        with pytest.raises(NotFound):
            stores.versions.get(model, "7.0.0")


def test_runs_that_register_at_once_get_versions_of_their_own(unit: Units, model: str) -> None:
    def register(number: int) -> ModelVersion:
        facts: dict[str, Any] = {"key": "k", "sha256": "sha256:0", "bytes": 1}
        return service.register(
            unit(),
            run=RunId(f"run-{number % 4}"),  # each run twice: a takeover may do a step again
            model=model,
            dataset="laundry@1",
            artifact=facts,
            metrics={},
            labels=("good", "defect"),
            now=later(number),
        )

    versions, errors = at_once(register)
    assert errors == []
    assert sorted({v.version for v in versions}) == ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]
    assert len({(v.run, v.version) for v in versions}) == 4


def test_a_replica_is_known_by_what_it_said_last(unit: Units) -> None:
    with saved(unit()) as stores:
        for id_ in ("r-b", "r0", "r-a"):
            stores.replicas.report(replica(id_))
    again = replica("r-a", models={}, seen_at=later(1))
    with saved(unit()) as stores:
        stores.replicas.report(again)
    with unit(reads_only=True) as stores:
        assert stores.replicas.list() == [again, replica("r-b"), replica("r0")]


def test_a_replica_may_report_for_the_first_time_twice_at_once(unit: Units) -> None:
    def report(_: int) -> None:
        with saved(unit()) as stores:
            stores.replicas.report(replica())

    _, errors = at_once(report)
    assert errors == []
    with unit() as stores:
        assert stores.replicas.list() == [replica()]
