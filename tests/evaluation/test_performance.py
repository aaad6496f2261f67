"""The performance gates, on measurements as a sandbox makes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.evaluation import performance
from burnish.evaluation.model import GateResult, Performance, Verdict
from burnish.kernel.policy import GatesPolicy

POLICY = GatesPolicy(latency_ms=200, memory_mb=2000, throughput=50)


def measured(**changes: Any) -> Performance:
    good = {"requests": 100, "mean_ms": 20, "low_ms": 19, "high_ms": 21, "p50_ms": 18}
    good |= {"p95_ms": 30, "p99_ms": 45, "throughput": 80, "callers": 2, "memory_mb": 150}
    return Performance(**(good | changes))


def verdicts(found: tuple[GateResult, ...]) -> dict[str, str]:
    return {gate.gate: gate.verdict.value for gate in found}


def test_a_candidate_within_every_limit_passes_and_the_quantiles_are_shown() -> None:
    found = performance.judge(POLICY, measured())
    assert verdicts(found) == {"latency_ms": "PASS", "memory_mb": "PASS", "throughput": "PASS"}
    assert "p50 18.0, p95 30.0, p99 45.0 ms" in found[0].reason
    assert (found[0].low, found[0].high, found[0].n) == (19, 21, 100)


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("latency_ms", {"mean_ms": 201}),
        ("memory_mb", {"memory_mb": 2001}),
        ("throughput", {"throughput": 49}),
    ],
)
def test_one_limit_broken_fails_that_gate_alone(gate: str, changes: dict[str, float]) -> None:
    found = verdicts(performance.judge(POLICY, measured(**changes)))
    assert {name for name, verdict in found.items() if verdict == "FAIL"} == {gate}


def test_what_cannot_be_measured_fails_and_says_why() -> None:
    found = performance.judge(POLICY, Performance(failure="no answer in the sandbox within 60 s"))
    assert {gate.verdict for gate in found} == {Verdict.FAIL}
    assert {gate.value for gate in found} == {None}
    assert {gate.reason for gate in found} == {"no answer in the sandbox within 60 s"}


@given(
    latency=st.sampled_from([0, 200]),
    memory=st.sampled_from([0, 2000]),
    throughput=st.sampled_from([0, 50]),
)
def test_a_gate_at_zero_is_off(latency: float, memory: float, throughput: float) -> None:
    policy = GatesPolicy(latency_ms=latency, memory_mb=memory, throughput=throughput)
    on = {"latency_ms": latency, "memory_mb": memory, "throughput": throughput}
    wanted = {gate for gate, limit in on.items() if limit}
    assert set(verdicts(performance.judge(policy, measured()))) == wanted
    assert performance.asked(policy) == bool(wanted)
