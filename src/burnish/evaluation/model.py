"""An evaluation: every gate's verdict on a candidate against the model now serving."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from burnish.kernel.ids import RunId


class Verdict(StrEnum):
    """What the evidence says."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class GateResult(Struct, frozen=True, kw_only=True):
    """One gate's verdict, with the figures that it rests on."""

    gate: str
    verdict: Verdict
    value: float | None
    threshold: float
    low: float | None  # 95 % interval of the value
    high: float | None
    n: int
    reason: str


class Holdout(Struct, frozen=True, kw_only=True):
    """How often the candidate was right on examples that no model ever trained on."""

    n: int
    accuracy: float
    low: float
    high: float
    champion_accuracy: float | None  # of the model now serving, on the same examples


class Paired(Struct, frozen=True, kw_only=True):
    """Candidate and champion on the same examples: who was right where the other was wrong."""

    fixes: int
    breaks: int
    p_better: float


class Performance(Struct, frozen=True, kw_only=True):
    """What a candidate cost while it answered single photos in a sandbox; zeros if it failed."""

    requests: int = 0  # answered, one at a time
    mean_ms: float = 0.0
    low_ms: float = 0.0  # 95 % interval of the mean
    high_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    throughput: float = 0.0  # requests a second, with `callers` of them at a time; 0: not measured
    callers: int = 0
    memory_mb: float = 0.0  # peak resident memory of the process, the runtime with it
    load_seconds: float = 0.0
    network: bool = True  # whether the sandbox could reach one; root alone can take it away
    failure: str | None = None  # why there are no figures


class Evaluation(Struct, frozen=True, kw_only=True):
    """The report on one candidate."""

    id: str
    run: RunId
    model: str
    candidate: str  # model versions
    champion: str | None
    verdict: Verdict
    gates: tuple[GateResult, ...]
    holdout: Holdout
    paired: Paired | None  # None for a first model
    confusion: dict[str, dict[str, int]]  # truth -> prediction -> examples
    newly_right: tuple[str, ...]  # subjects
    newly_wrong: tuple[str, ...]
    created_at: datetime
    performance: Performance | None = None  # None: no gate asked for it


class Example(Struct, frozen=True, kw_only=True):
    """One judged example: who said what."""

    subject: str
    truth: str
    candidate: str
    champion: str | None


def overall(gates: Iterable[GateResult]) -> Verdict:
    """Return the verdict of all gates: one failure fails, else one doubt holds."""
    verdicts = {gate.verdict for gate in gates}
    for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if worst in verdicts:
            return worst
    return Verdict.PASS


def sentence(evaluation: Evaluation) -> str:
    """Return the verdict as a person would say it."""
    blocked = [gate.gate for gate in evaluation.gates if gate.verdict is not Verdict.PASS]
    total = len(evaluation.gates)
    passed = f"{total - len(blocked)} of {total} gates passed"
    return (
        f"{passed}; {'held' if evaluation.verdict is Verdict.INCONCLUSIVE else 'blocked'} by "
        + (", ".join(blocked))
        if blocked
        else f"{passed}."
    )
