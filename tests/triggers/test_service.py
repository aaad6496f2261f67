"""Decisions on a real database: counted as a build counts, stored once, with the run they start."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from burnish.adapters.sql.schema import audit, decisions, runs
from burnish.feedback.model import FeedbackRecord
from burnish.kernel.audit import Actor
from burnish.kernel.policy import ModelPolicy
from burnish.triggers import service
from burnish.triggers.model import (
    PAUSABLE,
    Ask,
    Facts,
    Hold,
    ReasonMissing,
    Rule,
    Tally,
    UnknownTrigger,
)
from burnish.triggers.service import consider, pause, resume
from support.ledger import NOON
from support.samples import release

from .conftest import finish_run, people_correct, policy

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def count(world: World, table: Any) -> int:
    with world.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_decision_to_wait_is_stored_with_its_reason_and_starts_nothing(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 4)
    entry = world.consider(rules)
    assert (entry.fire, entry.rule, entry.run) == (False, Rule.WAIT, None)
    assert entry.reason == "4 of 10 corrections, never trained"
    assert (entry.offsets, entry.policy_digest) == ({"0": 4}, rules.digest)
    assert entry.facts == Facts(tally=Tally(effective=4))
    with world.unit() as unit:
        assert unit.decisions.list("laundry") == [entry]
    assert count(world, runs) == 0


def test_the_same_wait_is_not_stored_again_until_a_number_changes(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 4)
    first = world.consider(rules)
    assert world.consider(rules, after=timedelta(seconds=5)) == first
    people_correct(world, about, 0, 4)  # copies
    later = world.consider(rules, after=timedelta(seconds=25))
    assert (later.id, later.at) == (first.id, first.at)
    assert (later.until - later.at, later.offsets) == (timedelta(seconds=25), {"0": 8})
    people_correct(world, about, 4, 1)
    assert world.consider(rules, after=timedelta(seconds=30)).corrections == 5
    assert count(world, decisions) == 2


def test_a_look_without_news_reads_no_feedback_and_writes_nothing(
    world: World, about: About, rules: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_correct(world, about, 0, 4)
    first = world.consider(rules)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is new")

    monkeypatch.setattr("burnish.adapters.sql.feedback.FeedbackStore.on_touched_subjects", refuse)
    monkeypatch.setattr("burnish.adapters.sql.unit.SqlUnit.commit", refuse)
    for seconds in range(1, 20):
        assert world.consider(rules, after=timedelta(seconds=seconds)) == first


def test_a_time_in_which_nobody_looked_is_not_taken_for_one_in_which_nothing_changed(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 4)
    first = world.consider(rules)
    again = world.consider(rules, after=DAY)
    assert (again.id, again.decision) == (first.id + 1, first.decision)
    with world.unit() as unit:
        assert unit.decisions.list("laundry")[1] == first


def test_another_policy_is_another_decision(world: World, about: About, rules: ModelPolicy) -> None:
    people_correct(world, about, 0, 4)
    world.consider(rules)
    world.consider(world.apply(policy(urgent_corrections=40)))
    assert count(world, decisions) == 2


def test_a_firing_decision_its_run_and_their_audit_are_one_transaction(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    before = count(world, audit)
    entry = world.consider(rules)
    assert (entry.fire, entry.rule) == (True, Rule.CORRECTIONS)
    with world.unit() as unit:
        run = unit.runs.get(entry.run)
    assert (run.offsets, run.cause.rule) == ({"0": 10}, "corrections")
    assert count(world, audit) == before + 1
    assert world.messages.begun == [("train", entry.run)]


def test_if_the_decision_cannot_be_stored_no_run_is_left(
    world: World, about: About, rules: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_correct(world, about, 0, 10)

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("burnish.adapters.sql.triggers.DecisionStore.add", full)
    with pytest.raises(OSError, match="disk full"):
        world.consider(rules)
    assert (count(world, runs), count(world, decisions)) == (0, 0)


def test_while_a_run_is_under_way_what_would_fire_is_pending_and_takes_the_newest_records_then(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    first = world.consider(rules)
    people_correct(world, about, 10, 40)
    pending = world.consider(rules, after=MINUTE)
    assert (pending.rule, pending.hold, pending.run) == (Rule.URGENT, Hold.RUN, None)
    assert pending.reason.endswith(f"; waits for run {first.run} to end")
    people_correct(world, about, 50, 5)
    finish_run(world, first.run)
    begun = world.consider(rules, after=2 * MINUTE)
    assert (begun.fire, begun.corrections, begun.offsets) == (True, 45, {"0": 55})
    with world.unit() as unit:
        assert unit.runs.get(begun.run).offsets == {"0": 55}
    assert count(world, runs) == 2


def test_a_person_s_request_waits_for_the_run_under_way_and_only_the_newest_does(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    first = world.consider(rules)
    for minute, why in enumerate(("new labels", "new fabric"), 1):
        asked = world.consider(rules, operator=why, after=minute * MINUTE)
        assert (asked.rule, asked.hold) == (Rule.OPERATOR, Hold.RUN)
    waits = world.consider(rules, after=3 * MINUTE)
    assert waits.id == asked.id
    finish_run(world, first.run)
    begun = world.consider(rules, after=4 * MINUTE)
    assert (begun.fire, begun.rule) == (True, Rule.OPERATOR)
    assert begun.reason.startswith("asked for by kim: new fabric; ")
    finish_run(world, begun.run)
    assert world.consider(rules, after=5 * MINUTE).rule is Rule.NOTHING  # it is answered
    with world.unit() as unit:
        actions = [entry.action for entry in unit.audit.newest(limit=20)]
        started = [entry for entry in unit.audit.newest(limit=20) if entry.action == "run.started"]
    assert actions.count("trigger.asked") == 2
    assert [entry.actor for entry in started] == ["kim", "system"]


def test_who_wants_a_run_now_or_never_leaves_nothing_pending(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    first = world.consider(rules)
    ask = Ask(actor="kim", reason="now", at=NOON + MINUTE, waits=False)
    refused = consider(world.unit, world.view, rules, now=NOON + MINUTE, ask=ask)
    assert (refused.hold, refused.run) == (Hold.RUN, None)
    finish_run(world, first.run)
    assert world.consider(rules, after=2 * MINUTE).rule is Rule.NOTHING


def test_after_a_training_only_what_is_new_counts_and_days_begin_again(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 10)
    finish_run(world, world.consider(rules).run)
    assert world.consider(rules, after=DAY).rule is Rule.NOTHING
    people_correct(world, about, 10, 10)
    waits = world.consider(rules, after=DAY)
    assert waits.reason == "10 of 10 corrections, 1 of 7 days"
    assert not waits.fire
    assert world.consider(rules, after=7 * DAY).fire


def test_an_operator_starts_a_run_without_any_correction(world: World, rules: ModelPolicy) -> None:
    entry = world.consider(rules, operator="try the new policy")
    assert (entry.fire, entry.rule) == (True, Rule.OPERATOR)
    assert "try the new policy" in entry.reason


def test_low_live_accuracy_trains_once_for_each_alert(
    world: World, about: About, rules: ModelPolicy
) -> None:
    people_correct(world, about, 0, 1)
    with world.unit() as unit:
        serving = unit.releases.add(release())
        serving = unit.releases.activate("laundry", serving.id, leave=None, expected=0)
        unit.commit()
    assert world.consider(rules).rule is Rule.WAIT
    with world.unit() as unit:
        said = {"generation": serving.generation, "reason": "0.700 of 50 are right"}
        unit.outbox.publish("LiveAccuracyLow", "laundry", serving.id, said)
        unit.commit()
    low = world.consider(rules, after=MINUTE)
    assert (low.fire, low.rule) == (True, Rule.ACCURACY)
    assert low.reason.startswith("live accuracy is low: 0.700 of 50 are right; 1 of 10 ")
    finish_run(world, low.run)
    people_correct(world, about, 1, 1)
    assert world.consider(rules, after=2 * MINUTE).rule is Rule.WAIT


def test_a_paused_trigger_decides_and_says_who_paused_it_until_it_is_resumed(
    world: World, about: About, rules: ModelPolicy
) -> None:
    kim = Actor(name="kim")
    pause(world.unit(), "laundry", [], actor=kim, reason="import under way", now=NOON)
    people_correct(world, about, 0, 10)
    held = world.consider(rules)
    assert (held.rule, held.hold) == (Rule.CORRECTIONS, Hold.PAUSED)
    assert held.reason.endswith("; paused by kim: import under way")
    left = resume(world.unit(), "laundry", ["corrections"], actor=kim, reason="it is done")
    assert {one.trigger for one in left} == set(PAUSABLE) - {Rule.CORRECTIONS}
    assert world.consider(rules, after=MINUTE).fire
    with world.unit() as unit:
        newest = [(entry.action, entry.reason) for entry in unit.audit.newest(limit=3)]
        types = [event.type for event in unit.events.after(0, limit=100)]
    assert newest[1:] == [("trigger.resumed", "it is done"), ("trigger.paused", "import under way")]
    assert types.count("TriggersChanged") == 2


def test_a_pause_says_why_and_names_triggers_that_there_are(world: World) -> None:
    kim = Actor(name="kim")
    with pytest.raises(UnknownTrigger, match=r"urgnet.*name some of accuracy, urgent"):
        pause(world.unit(), "laundry", ["urgnet"], actor=kim, reason="x", now=NOON)
    with pytest.raises(ReasonMissing, match="say why"):
        resume(world.unit(), "laundry", [], actor=kim, reason="  ")


def test_one_who_pauses_while_another_decides_is_heard(
    world: World, about: About, rules: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_correct(world, about, 0, 10)
    really = service.look

    def look(unit: Any, *args: Any, **more: Any) -> Any:
        found = really(unit, *args, **more)
        if unit.reads_only:
            pause(world.unit(), "laundry", [], actor=Actor(name="kim"), reason="stop", now=NOON)
        return found

    monkeypatch.setattr(service, "look", look)
    assert world.consider(rules).hold is Hold.PAUSED
    assert count(world, runs) == 0
