"""The performance gates: what a candidate costs while it answers, against what the policy allows.

They weigh the measurement of one trial. Nothing is measured that no gate asks for.
"""

from msgspec.structs import replace

from burnish.evaluation.model import GateResult, Performance, Verdict
from burnish.kernel.policy import GatesPolicy


def asked(policy: GatesPolicy) -> bool:
    """Tell whether any performance gate is on."""
    return any((policy.latency_ms, policy.memory_mb, policy.throughput))


def judge(policy: GatesPolicy, measured: Performance) -> tuple[GateResult, ...]:
    """Return the verdict of each performance gate that is on."""
    quantiles = (
        f"p50 {measured.p50_ms:.1f}, p95 {measured.p95_ms:.1f}, p99 {measured.p99_ms:.1f} ms"
    )
    gates = (
        GateResult(
            gate="latency_ms",
            verdict=_verdict(measured.mean_ms <= policy.latency_ms),
            value=measured.mean_ms,
            threshold=policy.latency_ms,
            low=measured.low_ms,
            high=measured.high_ms,
            n=measured.requests,
            reason=f"{measured.mean_ms:.1f} ms in the mean; {quantiles}",
        ),
        GateResult(
            gate="memory_mb",
            verdict=_verdict(measured.memory_mb <= policy.memory_mb),
            value=measured.memory_mb,
            threshold=policy.memory_mb,
            low=None,
            high=None,
            n=measured.requests,
            reason=f"{measured.memory_mb:.0f} MB at the peak, with all that it runs on",
        ),
        GateResult(
            gate="throughput",
            verdict=_verdict(measured.throughput >= policy.throughput),
            value=measured.throughput,
            threshold=policy.throughput,
            low=None,
            high=None,
            n=measured.requests,
            reason=f"{measured.throughput:.0f} requests a second, {measured.callers} at a time",
        ),
    )
    on = (gate for gate in gates if gate.threshold)
    if measured.failure is None:
        return tuple(on)
    return tuple(
        replace(
            gate, verdict=Verdict.FAIL, value=None, low=None, high=None, reason=measured.failure
        )
        for gate in on
    )


def _verdict(holds: bool) -> Verdict:
    return Verdict.PASS if holds else Verdict.FAIL
