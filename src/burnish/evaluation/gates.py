"""The gates: each weighs one thing, by its evidence and not by its point estimate alone."""

from collections.abc import Sequence
from typing import Final

from burnish.evaluation import evidence
from burnish.evaluation.model import Example, GateResult, Verdict
from burnish.kernel.policy import GatesPolicy
from burnish.kernel.stats import wilson

MIN_SUPPORT: Final = 10  # examples of a class below which its share says too little


def judge(
    policy: GatesPolicy, examples: Sequence[Example], *, validation: tuple[int, int]
) -> tuple[GateResult, ...]:
    """Return every gate's verdict.

    `examples` are the holdout's; `validation` is (right, all) on the candidate's validation
    split. A first model, which has no champion beside it, passes floors only.
    """
    right = sum(example.candidate == example.truth for example in examples)
    results = [
        floor("validation", *validation, policy.validation),
        floor("holdout", right, len(examples), policy.holdout),
    ]
    for label in sorted({example.truth for example in examples}):
        members = [example for example in examples if example.truth == label]
        hits = sum(example.candidate == label for example in members)
        results.append(floor(f"class {label}", hits, len(members), policy.per_class))
    if any(example.champion is not None for example in examples):
        results.append(better(examples, policy.p_better))
    return tuple(results)


def floor(gate: str, right: int, n: int, threshold: float) -> GateResult:
    """Weigh a share against a floor.

    FAIL if even the upper bound of its interval lies below; PASS if the share reaches the floor
    with enough support; INCONCLUSIVE otherwise.

    >>> floor("holdout", 90, 100, 0.88).verdict.value, floor("holdout", 60, 100, 0.88).verdict.value
    ('PASS', 'FAIL')
    """
    low, high = wilson(right, n) if n else (None, None)
    verdict, reason = _weigh(right, n, threshold, high)
    return GateResult(
        gate=gate,
        verdict=verdict,
        value=right / n if n else None,
        threshold=threshold,
        low=low,
        high=high,
        n=n,
        reason=reason,
    )


def _weigh(right: int, n: int, threshold: float, high: float | None) -> tuple[Verdict, str]:
    if threshold == 0:
        return Verdict.PASS, "no floor is set"
    if high is None:
        return Verdict.INCONCLUSIVE, "no example yet"
    share = f"{right} of {n} right"
    if high < threshold:
        return Verdict.FAIL, f"{share}: at best {high:.3f}, below {threshold:g}"
    if right / n < threshold:
        reason = f"{share}: below {threshold:g}, but the interval reaches {high:.3f}"
        return Verdict.INCONCLUSIVE, reason
    if n < MIN_SUPPORT:
        return Verdict.INCONCLUSIVE, f"{share}: fewer than {MIN_SUPPORT} examples decide nothing"
    return Verdict.PASS, share


def better(examples: Sequence[Example], threshold: float) -> GateResult:
    """Weigh the candidate against the model now serving, on the same examples.

    PASS if it is better with at least the wanted probability, FAIL if it is worse with that
    probability, INCONCLUSIVE between.
    """
    pair = evidence.paired(examples)
    counts = f"fixes {pair.fixes}, breaks {pair.breaks}"
    if pair.p_better >= threshold:
        verdict, reason = Verdict.PASS, counts
    elif pair.p_better <= 1 - threshold:
        verdict, reason = Verdict.FAIL, f"{counts}: worse than the model now serving"
    else:
        more = evidence.labels_to_decide(pair.fixes, pair.breaks, len(examples), threshold)
        hint = "more labels of this sort would not decide it"
        if more is not None:
            hint = f"about {more} more labels would decide it"
        verdict, reason = Verdict.INCONCLUSIVE, f"{counts}: {hint}"
    return GateResult(
        gate="better",
        verdict=verdict,
        value=pair.p_better,
        threshold=threshold,
        low=None,
        high=None,
        n=len(examples),
        reason=reason,
    )
