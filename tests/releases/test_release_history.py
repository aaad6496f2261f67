"""The release history, driven at random: what must hold whoever promotes, rolls back or ends."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from burnish.adapters.system import new_id
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import IllegalTransition
from burnish.kernel.ids import ReleaseId, RunId
from burnish.releases import service
from burnish.releases.model import (
    TRANSITIONS,
    NothingToRollBackTo,
    Release,
    ReleaseEvent,
    ReleaseState,
    StaleGeneration,
    next_version,
    predecessor,
)
from support.ledger import Ledger
from support.samples import policy as laundry


def history_machine(new_ledger: Callable[[], Ledger]) -> type[RuleBasedStateMachine]:
    class ReleaseHistory(RuleBasedStateMachine):
        ready = Bundle("ready")
        known = Bundle("known")

        def __init__(self) -> None:
            super().__init__()
            self.ledger = new_ledger()
            self.ledger.apply(laundry())
            self.withdrawn: set[str] = set()
            self.generations = [0]
            self.stack: list[str] = []  # what the model says a rollback goes back to

        @rule(target=ready)
        def open(self) -> str:
            release = service.open_release(
                self.ledger.unit(),
                id_=ReleaseId(new_id()),
                model="laundry",
                version="1.0.0",
                run=RunId(new_id()),
                now=self.ledger.tick(),
            )
            return release.id

        @rule(target=known, release=consumes(ready))
        def promote(self, release: str) -> str:
            active = self.active()
            self.promoted(
                service.promote(
                    self.ledger.unit(),
                    ReleaseId(release),
                    expected=self.generation(),
                    actor=SYSTEM,
                    reason="passed",
                )
            )
            if active is not None:
                self.stack.append(active.id)
            return release

        @rule(release=ready, behind=st.integers(1, 3))
        def promote_from_a_stale_view(self, release: str, behind: int) -> None:
            with pytest.raises(StaleGeneration):
                service.promote(
                    self.ledger.unit(),
                    ReleaseId(release),
                    expected=self.generation() - behind,
                    actor=SYSTEM,
                    reason="late",
                )

        @rule(release=known)
        def promote_again(self, release: str) -> None:
            with self.ledger.view() as view:
                state = view.releases.get(ReleaseId(release)).state
            if state is ReleaseState.RETIRED:
                return
            with pytest.raises(IllegalTransition):
                service.promote(
                    self.ledger.unit(),
                    ReleaseId(release),
                    expected=self.generation(),
                    actor=SYSTEM,
                    reason="again",
                )

        @rule()
        def roll_back(self) -> None:
            before = self.active()
            if not self.stack:
                with pytest.raises(NothingToRollBackTo):
                    self.rollback()
                return
            active = self.rollback()
            assert active.id == self.stack.pop()
            assert before is not None
            self.withdrawn.add(before.id)
            self.promoted(active)

        @rule(
            target=known,
            release=consumes(ready),
            event=st.sampled_from([ReleaseEvent.REJECT, ReleaseEvent.FAIL, ReleaseEvent.SUPERSEDE]),
        )
        def abandon(self, release: str, event: ReleaseEvent) -> str:
            service.abandon(
                self.ledger.unit(), ReleaseId(release), event, actor=SYSTEM, reason="no"
            )
            return release

        @rule(release=known)
        def what_was_promoted_is_not_abandoned(self, release: str) -> None:
            with pytest.raises(IllegalTransition):
                service.abandon(
                    self.ledger.unit(),
                    ReleaseId(release),
                    ReleaseEvent.FAIL,
                    actor=SYSTEM,
                    reason="no",
                )

        @invariant()
        def at_most_one_release_is_active(self) -> None:
            active = [r for r in self.history() if r.state is ReleaseState.ACTIVE]
            assert len(active) <= 1
            assert (active[0] if active else None) == self.active()

        @invariant()
        def a_withdrawn_release_never_serves_again(self) -> None:
            states = {r.id: r.state for r in self.history()}
            assert all(states[release] is ReleaseState.WITHDRAWN for release in self.withdrawn)

        @invariant()
        def generations_only_grow_and_name_one_promotion(self) -> None:
            assert self.generations == sorted(set(self.generations))
            active = self.active()
            assert self.generation() == self.generations[-1]
            assert active is None or active.generation == self.generations[-1]

        @invariant()
        def the_audit_chain_is_whole(self) -> None:
            with self.ledger.view() as view:
                assert view.audit_log.broken_at() is None

        def rollback(self) -> Release:
            return service.rollback(
                self.ledger.unit(),
                "laundry",
                expected=self.generation(),
                actor=SYSTEM,
                reason="worse",
            )

        def promoted(self, release: Release) -> None:
            assert release.generation is not None
            self.generations.append(release.generation)

        def history(self) -> list[Release]:
            with self.ledger.view() as view:
                return view.releases.history("laundry")

        def active(self) -> Release | None:
            with self.ledger.view() as view:
                return view.releases.active("laundry")

        def generation(self) -> int:
            with self.ledger.view() as view:
                return view.models.get("laundry").generation

    return ReleaseHistory


def test_the_history_holds_its_promises(new_ledger: Callable[[], Ledger]) -> None:
    run_state_machine_as_test(
        history_machine(new_ledger), settings=settings(max_examples=25, stateful_step_count=30)
    )


def test_every_state_has_its_arrows_and_ends_have_none() -> None:
    assert set(TRANSITIONS) == set(ReleaseState)
    ends = {state for state, arrows in TRANSITIONS.items() if not arrows}
    assert ends == {
        ReleaseState.WITHDRAWN,
        ReleaseState.REJECTED,
        ReleaseState.FAILED,
        ReleaseState.SUPERSEDED,
    }


def test_a_run_opens_one_release_however_often_it_asks(ledger: Ledger) -> None:
    ledger.apply(laundry())
    run = RunId(new_id())
    opened = [
        service.open_release(
            ledger.unit(),
            id_=ReleaseId(new_id()),
            model="laundry",
            version="1.0.0",
            run=run,
            now=ledger.now,
        ).id
        for _ in range(3)
    ]
    assert len(set(opened)) == 1


def test_without_a_retained_release_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(NothingToRollBackTo):
        predecessor([])


def test_a_version_that_is_not_semantic_is_named() -> None:
    with pytest.raises(Exception, match=r"major\.minor\.patch"):
        next_version("seven")
