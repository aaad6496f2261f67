"""What `decide` promises for any policy, any facts and any time, and the sentences it says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from burnish.kernel.policy import TriggerPolicy
from burnish.triggers.model import (
    FIRING,
    PAUSABLE,
    WINDOWED,
    Alert,
    Ask,
    Decision,
    Facts,
    Hold,
    Pause,
    Rule,
    Tally,
    Trained,
)
from burnish.triggers.rules import decide, next_turn

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
NIGHT = "01:00-05:00 Asia/Seoul"  # 16:00 to 20:00 UTC, all year
LOW = Alert(release="r1", generation=3, reason="0.700 of 50 answers are right: below 0.85")
ASK = Ask(actor="kim", reason="new labels", at=NOON)
COUNTS = st.integers(0, 700)
POLICIES = st.builds(
    TriggerPolicy,
    min_corrections=st.integers(0, 400),
    min_days=st.floats(0, 30),
    urgent_corrections=st.integers(0, 600),
    accuracy=st.booleans(),
    every=st.sampled_from(["", "day"]),
    window=st.sampled_from(["", NIGHT, "22:00-06:00 Europe/Berlin", "00:00-23:59 UTC"]),
    window_strict=st.booleans(),
    paused=st.booleans(),
)
PAUSES = st.sets(st.sampled_from(PAUSABLE)).map(
    lambda rules: tuple(pause(rule) for rule in sorted(rules))
)
FACTS = st.builds(
    Facts,
    tally=st.builds(Tally, effective=COUNTS, left_out=st.just({})),
    trained=st.none()
    | st.timedeltas(timedelta(0), 60 * DAY).map(lambda ago: Trained(at=NOON - ago, offsets={})),
    run=st.sampled_from([None, None, "run-7"]),
    pauses=PAUSES,
    alert=st.sampled_from([None, LOW]),
    answered=st.sampled_from([None, LOW.key]),
    ask=st.sampled_from([None, None, ASK]),
)
TIMES = st.timedeltas(timedelta(0), 3 * DAY).map(lambda later: NOON + later)


def pause(rule: Rule) -> Pause:
    return Pause(trigger=rule, actor="lee", reason="import", at=NOON)


def facts(effective: int, since_last: timedelta | None = WEEK, **more: Any) -> Facts:
    trained = None if since_last is None else Trained(at=NOON - since_last, offsets={})
    return Facts(tally=Tally(effective=effective), trained=trained, **more)


def decided(effective: int, since_last: timedelta | None = WEEK, **more: Any) -> Decision:
    policy = {
        name: more.pop(name) for name in list(more) if name in TriggerPolicy.__struct_fields__
    }
    now = more.pop("now", NOON)
    return decide(TriggerPolicy(**policy), facts(effective, since_last, **more), now=now)


# --- counts and days


def test_enough_corrections_and_days_fire() -> None:
    assert (decided(100).fire, decided(100).rule) == (True, Rule.CORRECTIONS)
    assert decided(100).reason == "100 of 100 corrections, 7 of 7 days"


def test_too_few_corrections_wait_and_say_how_many_and_what_did_not_count() -> None:
    tally = Tally(effective=87, left_out={"near_duplicate": 9, "contradiction": 3})
    known = replace(facts(0, 3 * DAY), tally=tally)
    waits = decide(TriggerPolicy(), known, now=NOON)
    assert (waits.fire, waits.rule, waits.hold) == (False, Rule.WAIT, None)
    assert waits.reason == (
        "87 of 100 corrections, 3 of 7 days; "
        "12 records did not count: 9 near-duplicates, 3 contradictions"
    )


def test_one_record_is_not_told_in_the_plural_and_a_new_reason_is_told_by_its_name() -> None:
    tally = Tally(effective=1, left_out={"near_duplicate": 1})
    assert (
        "; 1 record did not count: 1 near-duplicate"
        in decide(TriggerPolicy(), Facts(tally=tally), now=NOON).reason
    )
    tally = Tally(effective=1, left_out={"moon_phase": 2})
    assert "2 moon phase" in decide(TriggerPolicy(), Facts(tally=tally), now=NOON).reason


def test_too_few_days_wait_and_never_read_as_enough() -> None:
    almost = decided(120, timedelta(days=6, hours=23, minutes=59))
    assert not almost.fire
    assert almost.reason == "120 of 100 corrections, 6 of 7 days"
    short = decided(120, timedelta(hours=23), min_days=1)
    assert short.reason == "120 of 100 corrections, 0.9 of 1 days"


def test_urgent_corrections_do_not_wait_for_days() -> None:
    urgent = decided(300, timedelta(hours=1))
    assert (urgent.fire, urgent.rule) == (True, Rule.URGENT)
    assert urgent.reason.startswith("urgent: 300 corrections reach 300; 300 of 100 corrections")


def test_a_model_that_never_trained_needs_corrections_but_no_days() -> None:
    assert decided(100, None).fire
    assert not decided(99, None).fire
    assert decided(99, None).reason == "99 of 100 corrections, never trained"


def test_nothing_new_is_nothing_to_do_even_where_the_policy_asks_for_nothing() -> None:
    eager = {"min_corrections": 0, "min_days": 0, "urgent_corrections": 0, "every": "day"}
    nothing = decided(0, alert=LOW, **eager)
    assert (nothing.fire, nothing.rule) == (False, Rule.NOTHING)
    assert nothing.reason.startswith("no corrections to learn from; ")


# --- live accuracy, people


def test_low_live_accuracy_trains_on_what_there_is_once_for_each_alert() -> None:
    low = decided(1, timedelta(0), alert=LOW)
    assert (low.fire, low.rule) == (True, Rule.ACCURACY)
    assert low.reason.startswith(f"live accuracy is low: {LOW.reason}; 1 of 100 corrections")
    assert decided(1, timedelta(0), alert=LOW, answered=LOW.key).rule is Rule.WAIT
    again = replace(LOW, generation=5)
    assert decided(1, timedelta(0), alert=again, answered=LOW.key).fire
    assert decided(1, timedelta(0), alert=LOW, accuracy=False).rule is Rule.WAIT


def test_a_person_may_start_a_run_at_any_time_but_not_beside_another() -> None:
    asked = {"ask": ASK, "paused": True, "window": NIGHT}
    assert decided(0, timedelta(0), **asked).rule is Rule.OPERATOR
    assert decided(0, timedelta(0), **asked).fire
    assert decided(0, timedelta(0), **asked).reason.startswith("asked for by kim: new labels; ")
    beside = decided(0, timedelta(0), run="run-7", **asked)
    assert (beside.rule, beside.hold) == (Rule.OPERATOR, Hold.RUN)
    assert "; waits for run run-7 to end" in beside.reason


# --- the window, and the night's batch


def test_a_window_holds_a_run_until_it_opens_and_says_when() -> None:
    held = decided(100, window=NIGHT)
    assert (held.fire, held.pending, held.hold) == (False, True, Hold.WINDOW)
    assert held.reason == (
        "100 of 100 corrections, 7 of 7 days; "
        "waits for the window 01:00-05:00 Asia/Seoul, which opens 2026-05-02 01:00"
    )
    assert decided(100, window=NIGHT, now=NOON + timedelta(hours=4)).fire
    assert not decided(100, window=NIGHT, now=NOON + timedelta(hours=8)).fire


@pytest.mark.parametrize(("effective", "more"), [(300, {}), (1, {"alert": LOW}), (0, {"ask": ASK})])
def test_what_is_urgent_ignores_the_window_unless_it_is_strict(
    effective: int, more: dict[str, Any]
) -> None:
    assert decided(effective, window=NIGHT, **more).fire
    strict = decided(effective, window=NIGHT, window_strict=True, **more)
    assert strict.hold is Hold.WINDOW
    opened = NOON + timedelta(hours=4)
    assert decided(effective, window=NIGHT, window_strict=True, now=opened, **more).fire


def test_a_nightly_batch_wants_one_correction_and_trains_once_a_night() -> None:
    nightly = {"every": "day", "window": NIGHT}
    in_the_night = NOON + timedelta(hours=5)
    by_day = decided(1, 2 * DAY, **nightly)
    assert (by_day.rule, by_day.hold) == (Rule.DAILY, Hold.WINDOW)
    assert by_day.reason.startswith("the nightly batch; 1 of 100 corrections, 2 of 7 days; waits")
    assert decided(1, 2 * DAY, now=in_the_night, **nightly).fire
    assert decided(0, 2 * DAY, now=in_the_night, **nightly).rule is Rule.NOTHING
    half_an_hour_ago = timedelta(hours=-4.5)
    assert decided(1, half_an_hour_ago, now=in_the_night, **nightly).rule is Rule.WAIT
    before_it_opened = timedelta(hours=-3.5)
    assert decided(1, before_it_opened, now=in_the_night, **nightly).fire


def test_without_a_window_the_day_of_a_nightly_batch_is_that_of_utc() -> None:
    assert decided(1, timedelta(hours=13), every="day").fire
    assert not decided(1, timedelta(hours=11), every="day").fire
    assert decided(1, timedelta(hours=11), every="day", now=NOON + timedelta(hours=12)).fire


# --- pauses


def test_a_paused_trigger_says_by_whom_and_why() -> None:
    held = decided(100, pauses=(pause(Rule.CORRECTIONS),))
    assert (held.rule, held.hold) == (Rule.CORRECTIONS, Hold.PAUSED)
    assert held.reason == "100 of 100 corrections, 7 of 7 days; paused by lee: import"


def test_a_pause_holds_the_named_trigger_only() -> None:
    urgent = decided(300, pauses=(pause(Rule.CORRECTIONS),))
    assert (urgent.fire, urgent.rule) == (True, Rule.URGENT)
    assert urgent.reason.endswith("; corrections paused by lee: import")
    assert decided(300, pauses=(pause(Rule.URGENT),)).rule is Rule.CORRECTIONS
    assert decided(300, pauses=(pause(Rule.URGENT),)).fire


def test_a_pause_is_told_before_it_holds_anything() -> None:
    waits = decided(1, pauses=tuple(pause(rule) for rule in PAUSABLE))
    assert waits.rule is Rule.WAIT
    assert waits.reason.endswith("; accuracy, corrections, daily, urgent paused by lee: import")


def test_a_policy_may_pause_everything() -> None:
    held = decided(300, paused=True)
    assert held.hold is Hold.PAUSED
    assert held.reason.endswith("; paused by the policy: trigger.paused = true")


# --- for any policy and facts


@dataclass
class Case:
    """Any policy, facts and time, and what is decided on them."""

    policy: TriggerPolicy
    facts: Facts
    now: datetime

    @property
    def decision(self) -> Decision:
        return decide(self.policy, self.facts, now=self.now)

    @property
    def open(self) -> bool:
        window = self.policy.opening_hours
        return window is None or window.opening(self.now) is not None


ANY = st.builds(Case, POLICIES, FACTS, TIMES)


@given(ANY)
def test_a_decision_says_its_numbers_and_fires_by_a_rule_that_may(case: Case) -> None:
    made = case.decision
    assert made.fire == (made.rule in FIRING and made.hold is None)
    assert made.pending == (made.hold is not None)
    assert made.corrections == case.facts.tally.effective
    assert f"{made.corrections} of {case.policy.min_corrections} corrections" in made.reason


@given(ANY)
def test_nothing_fires_beside_a_run_or_paused_or_outside_the_window_unless_it_may(
    case: Case,
) -> None:
    made = case.decision
    if not made.fire:
        return
    assert case.facts.run is None
    if made.rule is not Rule.OPERATOR:
        assert not case.policy.paused
        assert made.rule not in {one.trigger for one in case.facts.pauses}
        assert made.corrections >= 1
    if made.rule in WINDOWED or case.policy.window_strict:
        assert case.open


@given(ANY, COUNTS)
def test_more_corrections_never_turn_a_training_into_waiting(case: Case, more: int) -> None:
    tally = Tally(effective=case.facts.tally.effective + more)
    richer = decide(case.policy, replace(case.facts, tally=tally), now=case.now)
    assert richer.fire or not case.decision.fire
    assert richer.rule in FIRING or case.decision.rule not in FIRING


@given(ANY)
def test_a_person_who_asks_is_held_by_a_run_and_by_a_strict_window_only(case: Case) -> None:
    made = decide(case.policy, replace(case.facts, ask=ASK), now=case.now)
    strict = case.policy.window_strict and not case.open
    assert made.rule is Rule.OPERATOR
    assert made.fire == (case.facts.run is None and not strict)


@given(ANY, st.floats(0, 1, exclude_max=True))
def test_between_two_turns_time_changes_neither_rule_nor_hold(case: Case, share: float) -> None:
    turn = next_turn(case.policy, case.facts, after=case.now)
    end = turn or case.now + 30 * DAY
    last = end - timedelta(microseconds=1)  # a share just below one may be rounded up to the turn
    moment = min(case.now + share * (end - case.now), last)
    between = decide(case.policy, case.facts, now=moment)
    assert (between.rule, between.hold) == (case.decision.rule, case.decision.hold)


@given(POLICIES, st.integers(1, 700), st.timedeltas(timedelta(0), 60 * DAY))
def test_counts_decide_as_the_policy_says_in_words(
    policy: TriggerPolicy, effective: int, since_last: timedelta
) -> None:
    plain = replace(policy, window="", window_strict=False, every="", paused=False)
    enough = effective >= policy.min_corrections and since_last >= policy.min_days * DAY
    urgent = effective >= policy.urgent_corrections
    assert decide(plain, facts(effective, since_last), now=NOON).fire == (enough or urgent)
