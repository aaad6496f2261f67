"""Outcomes on a real database, and what the monitor does about them."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.system import new_id
from burnish.feedback.model import Selection
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.events import Event
from burnish.kernel.ids import ReleaseId, RunId
from burnish.monitoring.model import ROLLBACK_ALPHA, Tally, weigh
from burnish.monitoring.service import Monitor, live
from burnish.releases import service as releases
from burnish.releases.model import NothingToRollBackTo, Release, ReleaseState
from support.ledger import Ledger
from support.samples import policy as laundry


class Production:
    """A model in production: releases that answer, and people who judge the answers."""

    def __init__(self, ledger: Ledger, **lines: float) -> None:
        self.ledger = ledger
        self.ledger.apply(laundry(monitor={"rollback": 0.8, "alert": 0.85} | lines))
        self.monitor = Monitor(units=ledger.unit, views=ledger.view)
        self.predictions = SqlPredictions(ledger.engine)
        self.said = 0

    def release(self, version: str) -> Release:
        opened = releases.open_release(
            self.ledger.unit(),
            id_=ReleaseId(new_id()),
            model="laundry",
            version=version,
            run=RunId(new_id()),
            now=self.ledger.tick(),
        )
        with self.ledger.view() as view:
            generation = view.models.get("laundry").generation
        return releases.promote(
            self.ledger.unit(), opened.id, expected=generation, actor=SYSTEM, reason="passed"
        )

    def answer(self, release: Release, count: int, *, model: str = "laundry") -> list[str]:
        ids = [f"{release.generation}.{new_id()}" for _ in range(count)]
        self.predictions.append(
            [
                Prediction(
                    id=id_,
                    model=model,
                    release=release.id,
                    generation=release.generation or 0,
                    model_version=release.model_version,
                    label="good",
                    confidence=0.9,
                    at=self.ledger.now,
                )
                for id_ in ids
            ]
        )
        return ids

    def judge(
        self, ids: list[str], final: str, selection: Selection | None = None, **changes: Any
    ) -> None:
        verdicts = [
            Verdict(
                **{
                    "source": "app",
                    "id": new_id(),
                    "shard": "0",
                    "offset": self.said + place,
                    "model": "laundry",
                    "subject_id": prediction,
                    "final": final,
                    "corrected": final != "good",
                    "occurred_at": self.ledger.tick(),
                    "received_at": self.ledger.now,
                    "predicted": "good",
                    "prediction_id": prediction,
                    "selection": selection,
                }
                | changes
            )
            for place, prediction in enumerate(ids)
        ]
        unit = self.ledger.unit()
        with unit:
            unit.feedback.advance("0", expected=self.said, to=self.said + len(ids))
            unit.feedback.add(verdicts)
            unit.commit()
        self.said += len(ids)

    def confirm(self, release: Release, right: int, wrong: int) -> None:
        """Let a random share of fresh answers be judged."""
        ids = self.answer(release, right + wrong)
        self.judge(ids[:right], "good", Selection.RANDOM)
        self.judge(ids[right:], "defect", Selection.RANDOM)

    def tally(self, release: Release) -> Tally:
        with self.ledger.view() as view:
            return view.outcomes.tally("laundry", release.id, release.generation or 0)

    def active(self) -> Release:
        with self.ledger.view() as view:
            found = view.releases.active("laundry")
        assert found is not None
        return found

    def state(self, release: Release) -> ReleaseState:
        with self.ledger.view() as view:
            return view.releases.get(release.id).state

    def events(self, type_: str) -> list[Event]:
        with self.ledger.view() as view:
            return [event for event in view.events.after(0, limit=1_000) if event.type == type_]


@pytest.fixture
def production(ledger: Ledger) -> Production:
    return Production(ledger)


def test_a_release_below_the_line_gives_way_to_the_one_before(production: Production) -> None:
    good, bad = production.release("1.0.0"), production.release("1.1.0")
    production.confirm(bad, right=15, wrong=25)
    production.monitor.look()
    assert production.active().id == good.id
    assert production.active().generation == 3
    assert production.state(bad) is ReleaseState.WITHDRAWN
    (event,) = production.events("ModelRolledBack")
    assert event.data["cause"] == "live_accuracy"
    assert event.data["from"]["release"] == bad.id
    assert event.data["to"]["release"] == good.id
    assert "0.375 of 40 answers drawn at random are right: below 0.8" in event.data["reason"]
    with production.ledger.view() as view:
        row = next(r for r in view.audit_log.newest(limit=9) if r.action == "release.rolled_back")
        assert view.audit_log.broken_at() is None
    assert (row.actor, row.reason) == ("system", event.data["reason"])


def test_a_withdrawn_release_never_serves_again(production: Production) -> None:
    releases_ = [production.release(f"1.{number}.0") for number in range(3)]
    for bad in (releases_[2], releases_[1]):
        production.confirm(production.active(), right=10, wrong=30)
        production.monitor.look()
        assert production.state(bad) is ReleaseState.WITHDRAWN
    assert production.active().id == releases_[0].id
    production.confirm(production.active(), right=10, wrong=30)
    production.monitor.look()
    assert production.active().id == releases_[0].id
    assert production.state(releases_[1]) is ReleaseState.WITHDRAWN


def test_a_good_release_stays_however_often_one_looks(production: Production) -> None:
    production.release("1.0.0")
    good = production.release("1.1.0")
    for _ in range(20):
        production.confirm(good, right=9, wrong=1)
        production.monitor.look()
    assert production.active().id == good.id
    assert production.events("LiveAccuracyLow") == []


def test_a_good_release_of_which_only_errors_are_reported_stays(production: Production) -> None:
    production.release("1.0.0")
    good = production.release("1.1.0")
    production.judge(production.answer(good, 1_000)[:100], "defect")
    production.monitor.look()
    assert production.active().id == good.id
    with production.ledger.view() as view:
        found = live(view, "laundry")[0]
    assert (found.accuracy, found.at_most, found.coverage) == (None, 0.9, 0.1)


def test_errors_in_a_third_of_all_answers_are_enough_whoever_reports_them(
    production: Production,
) -> None:
    production.release("1.0.0")
    bad = production.release("1.1.0")
    production.judge(production.answer(bad, 150)[:60], "defect")
    production.monitor.look()
    assert production.state(bad) is ReleaseState.WITHDRAWN
    assert (
        "60 of 150 answers were called wrong"
        in production.events("ModelRolledBack")[0].data["reason"]
    )


def test_picks_of_the_uncertain_alone_take_nothing_back(production: Production) -> None:
    production.release("1.0.0")
    good = production.release("1.1.0")
    ids = production.answer(good, 1_000)
    production.judge(ids[:60], "defect", Selection.UNCERTAINTY)
    production.judge(ids[60:100], "good", Selection.UNCERTAINTY)
    production.monitor.look()
    assert production.active().id == good.id


def test_too_few_outcomes_decide_nothing(production: Production) -> None:
    production.release("1.0.0")
    new = production.release("1.1.0")
    production.confirm(new, right=0, wrong=19)
    production.monitor.look()
    assert production.active().id == new.id
    production.confirm(new, right=0, wrong=1)
    production.monitor.look()
    assert production.state(new) is ReleaseState.WITHDRAWN


def test_outcomes_of_an_older_generation_do_not_count(production: Production) -> None:
    first, second = production.release("1.0.0"), production.release("1.1.0")
    production.confirm(first, right=0, wrong=60)  # they come late, when it serves no more
    production.monitor.look()
    assert production.active().id == second.id
    production.confirm(second, right=0, wrong=40)
    production.monitor.look()
    assert production.active().id == first.id
    production.monitor.look(anyway=True)
    assert production.active().id == first.id  # judged anew, in its new generation
    assert production.tally(production.active()) == Tally(predictions=0)


def test_without_a_predecessor_people_are_told_once(production: Production) -> None:
    only = production.release("1.0.0")
    for _ in range(3):
        production.confirm(only, right=10, wrong=30)
        production.monitor.look()
        Monitor(units=production.ledger.unit, views=production.ledger.view).look()  # restarted
    assert production.active().id == only.id
    (event,) = production.events("RollbackFailed")
    assert "nothing to go back to" in event.data["reason"]
    assert len(production.events("LiveAccuracyLow")) == 1


def test_the_alert_comes_once_per_release_and_leaves_it_serving(production: Production) -> None:
    production.release("1.0.0")
    middling = production.release("1.1.0")
    for _ in range(12):
        production.confirm(middling, right=77, wrong=23)  # between the lines is a matter of time
        production.monitor.look()
        if production.events("LiveAccuracyLow"):
            break
    production.monitor.look(anyway=True)
    (event,) = production.events("LiveAccuracyLow")
    assert (event.subject, event.data["line"]) == (middling.id, 0.85)
    assert production.active().id == middling.id


def test_an_operator_who_was_first_is_not_overruled(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, bad = production.release("1.0.0"), production.release("1.1.0")
    production.release("1.2.0")
    releases.rollback(
        production.ledger.unit(), "laundry", expected=3, actor=Actor(name="kim"), reason="smells"
    )
    production.confirm(production.active(), right=0, wrong=40)
    with production.ledger.view() as view:
        seen = view.models.get("laundry")
    real = releases.rollback

    def beaten(*args: Any, **kwargs: Any) -> Release:
        monkeypatch.undo()
        real(production.ledger.unit(), "laundry", expected=4, actor=SYSTEM, reason="first")
        return real(*args, **kwargs)

    monkeypatch.setattr(releases, "rollback", beaten)
    production.monitor.watch(seen)
    assert production.active().id == first.id
    assert production.state(bad) is ReleaseState.WITHDRAWN
    causes = [event.data["cause"] for event in production.events("ModelRolledBack")]
    assert causes == ["operator", "operator"]


def test_without_news_nothing_is_counted(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.confirm(production.release("1.0.0"), right=5, wrong=5)
    production.monitor.look()
    looks: list[str] = []
    monkeypatch.setattr(production.monitor, "watch", lambda model: looks.append(model.name))
    production.monitor.look()
    assert looks == []
    production.confirm(production.active(), right=1, wrong=0)
    production.monitor.look()
    assert looks == ["laundry"]


def test_a_rollback_line_of_zero_is_none(ledger: Ledger) -> None:
    production = Production(ledger, rollback=0, alert=0)
    production.release("1.0.0")
    bad = production.release("1.1.0")
    production.confirm(bad, right=0, wrong=100)
    production.monitor.look()
    assert production.active().id == bad.id


def test_verdicts_of_other_models_or_on_no_prediction_are_no_outcomes(
    production: Production,
) -> None:
    release = production.release("1.0.0")
    ids = production.answer(release, 4)
    production.judge(ids[:1], "defect", model="other")
    production.judge(["9.unknown"], "defect")
    production.judge([ids[1]], "defect", prediction_id=None)
    assert production.tally(release) == Tally(predictions=4)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_newest_verdict_on_an_answer_counts_and_any_draw_makes_it_a_sample(
    new_ledger: Callable[[], Ledger], seed: int
) -> None:
    random, production = Random(seed), Production(new_ledger())
    release = production.release("1.0.0")
    ids = production.answer(release, random.randint(1, 12))
    newest: dict[str, tuple[Any, bool]] = {}
    drawn: dict[str, bool] = defaultdict(bool)
    for _ in range(random.randint(0, 30)):
        prediction, final = random.choice(ids), random.choice(["good", "defect"])
        selection = random.choice([None, Selection.RANDOM, Selection.UNCERTAINTY])
        key = (production.ledger.tick(random.randint(-5, 5)), random.choice("ab"), new_id())
        production.judge(
            [prediction], final, selection, occurred_at=key[0], source=key[1], id=key[2]
        )
        newest[prediction] = max(newest.get(prediction, (key, False)), (key, final == "good"))
        drawn[prediction] |= selection is Selection.RANDOM
    right = {name for name, (_, is_right) in newest.items() if is_right}
    sample = {name for name, is_drawn in drawn.items() if is_drawn}
    assert production.tally(release) == Tally(
        predictions=len(ids),
        right=len(right),
        wrong=len(newest.keys() - right),
        sampled_right=len(right & sample),
        sampled_wrong=len((newest.keys() - right) & sample),
    )


def production_machine(new_ledger: Callable[[], Ledger]) -> type[RuleBasedStateMachine]:
    class InProduction(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.production = Production(new_ledger())
            self.all: list[Release] = []
            self.gone: set[str] = set()

        @rule()
        def a_candidate_is_promoted(self) -> None:
            self.all.append(self.production.release(f"1.{len(self.all)}.0"))

        @precondition(lambda self: self.all)
        @rule(right=st.integers(0, 40), wrong=st.integers(0, 40), late=st.booleans())
        def people_judge(self, right: int, wrong: int, late: bool) -> None:
            release = self.all[0] if late else self.production.active()
            self.production.confirm(release, right, wrong)

        @precondition(lambda self: self.all)
        @rule()
        def an_operator_rolls_back(self) -> None:
            with suppress(NothingToRollBackTo):
                releases.rollback(
                    self.production.ledger.unit(),
                    "laundry",
                    expected=self.production.active().generation or 0,
                    actor=Actor(name="kim"),
                    reason="smells",
                )

        @rule(anyway=st.booleans())
        def the_monitor_looks(self, anyway: bool) -> None:
            before = self.all and self.production.active()
            tally = self.production.tally(before) if before else None
            self.production.monitor.look(anyway=anyway)
            if before and tally and self.production.active().id != before.id:
                crossed = weigh(tally, 0.8, alpha=ROLLBACK_ALPHA, min_outcomes=20).crossed
                assert crossed, "it acted on outcomes of another release or generation"

        @invariant()
        def a_withdrawn_release_never_serves_again(self) -> None:
            if self.all:
                assert self.production.active().id not in self.gone
            for release in self.all:
                if self.production.state(release) is ReleaseState.WITHDRAWN:
                    self.gone.add(release.id)

        @invariant()
        def every_rollback_is_told_once(self) -> None:
            told = [event.data["from"]["release"] for event in self.events("ModelRolledBack")]
            assert sorted(told) == sorted(self.gone)

        @invariant()
        def every_alert_is_told_once_per_generation(self) -> None:
            for type_ in ("LiveAccuracyLow", "RollbackFailed"):
                told = [(event.subject, event.data["generation"]) for event in self.events(type_)]
                assert len(set(told)) == len(told)

        def events(self, type_: str) -> list[Event]:
            return self.production.events(type_)

    return InProduction


def test_whoever_rolls_back_and_whenever_the_monitor_looks(
    new_ledger: Callable[[], Ledger],
) -> None:
    run_state_machine_as_test(
        production_machine(new_ledger),
        settings=settings(max_examples=15, stateful_step_count=25, deadline=None),
    )
