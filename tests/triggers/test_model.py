"""What `decide` promises for any policy, count and time."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from burnish.kernel.policy import TriggerPolicy
from burnish.triggers.model import FIRING, Decision, Rule, decide

WEEK = timedelta(days=7)
POLICIES = st.builds(
    TriggerPolicy,
    min_corrections=st.integers(0, 400),
    min_days=st.floats(0, 30),
    urgent_corrections=st.integers(0, 600),
    paused=st.booleans(),
)
COUNTS = st.integers(0, 700)
TIMES = st.none() | st.timedeltas(timedelta(0), timedelta(days=60))
REASONS = st.none() | st.text(min_size=1, max_size=20)


def by_default(effective: int, since_last: timedelta | None = WEEK) -> Decision:
    return decide(TriggerPolicy(), effective=effective, since_last=since_last, active_run=False)


def test_enough_corrections_and_days_fire() -> None:
    assert by_default(100).rule is Rule.CORRECTIONS
    assert by_default(100).reason == "100 of 100 corrections, 7.0 of 7 days"


def test_too_few_corrections_wait_and_say_how_many() -> None:
    assert not by_default(87, timedelta(days=3)).fire
    assert by_default(87, timedelta(days=3)).reason == "87 of 100 corrections, 3.0 of 7 days"


def test_too_few_days_wait_and_never_read_as_enough() -> None:
    almost = by_default(120, timedelta(days=6, hours=23, minutes=59))
    assert not almost.fire
    assert almost.reason == "120 of 100 corrections, 6.9 of 7 days"


def test_urgent_corrections_do_not_wait_for_days() -> None:
    urgent = by_default(300, timedelta(hours=1))
    assert (urgent.fire, urgent.rule) == (True, Rule.URGENT)
    assert urgent.reason.startswith("urgent: 300 corrections reach 300")


def test_a_model_that_never_trained_needs_corrections_but_no_days() -> None:
    assert by_default(100, None).fire
    assert not by_default(99, None).fire
    assert by_default(99, None).reason == "99 of 100 corrections, never trained"


def test_nothing_new_is_nothing_to_do_even_where_the_policy_asks_for_nothing() -> None:
    eager = TriggerPolicy(min_corrections=0, min_days=0, urgent_corrections=0)
    decision = decide(eager, effective=0, since_last=WEEK, active_run=False)
    assert (decision.fire, decision.rule) == (False, Rule.NOTHING)


def test_a_person_may_start_a_run_at_any_time_but_not_beside_another() -> None:
    paused = TriggerPolicy(paused=True)
    asked = {"effective": 0, "since_last": timedelta(0), "operator": "new labels"}
    assert decide(paused, active_run=False, **asked).rule is Rule.OPERATOR  # type: ignore[arg-type]
    assert "new labels" in decide(paused, active_run=False, **asked).reason  # type: ignore[arg-type]
    assert decide(paused, active_run=True, **asked).rule is Rule.ACTIVE  # type: ignore[arg-type]


@given(POLICIES, COUNTS, TIMES, st.booleans(), REASONS)
def test_a_decision_fires_exactly_by_the_rules_that_do_and_says_its_numbers(
    policy: TriggerPolicy,
    effective: int,
    since_last: timedelta | None,
    active: bool,
    operator: str | None,
) -> None:
    decision = decide(
        policy,
        effective=effective,
        since_last=since_last,
        active_run=active,
        operator=operator,
    )
    assert decision.fire == (decision.rule in FIRING)
    assert decision.corrections == effective
    assert f"{effective} of {policy.min_corrections} corrections" in decision.reason
    assert not (decision.fire and active)
    assert not (decision.fire and policy.paused and operator is None)


@given(POLICIES, COUNTS, COUNTS, TIMES, TIMES)
def test_more_corrections_or_more_days_never_turn_a_training_into_waiting(
    policy: TriggerPolicy,
    effective: int,
    more: int,
    since_last: timedelta | None,
    longer: timedelta | None,
) -> None:
    sooner = decide(policy, effective=effective, since_last=since_last, active_run=False)
    waited = None if since_last is None else since_last + (longer or timedelta(0))
    later = decide(policy, effective=effective + more, since_last=waited, active_run=False)
    assert later.fire or not sooner.fire


@given(POLICIES, st.integers(1, 700), TIMES)
def test_counts_decide_as_the_policy_says_in_words(
    policy: TriggerPolicy, effective: int, since_last: timedelta | None
) -> None:
    enough = effective >= policy.min_corrections and (
        since_last is None or since_last >= timedelta(days=policy.min_days)
    )
    urgent = effective >= policy.urgent_corrections
    decision = decide(policy, effective=effective, since_last=since_last, active_run=False)
    assert decision.fire == ((enough or urgent) and not policy.paused)
