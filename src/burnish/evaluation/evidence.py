"""From answers to evidence: counts, intervals, and the paired comparison."""

from collections import Counter
from collections.abc import Sequence
from math import ceil

from burnish.evaluation.model import Example, Holdout, Paired
from burnish.kernel.stats import p_better, wilson


def holdout(examples: Sequence[Example]) -> Holdout:
    """Return the candidate's accuracy with its interval, and the champion's beside it."""
    right = sum(example.candidate == example.truth for example in examples)
    low, high = wilson(right, len(examples))
    judged = [example for example in examples if example.champion is not None]
    champion = sum(example.champion == example.truth for example in judged)
    return Holdout(
        n=len(examples),
        accuracy=right / len(examples),
        low=low,
        high=high,
        champion_accuracy=champion / len(judged) if judged else None,
    )


def paired(examples: Sequence[Example]) -> Paired:
    """Return what the candidate fixes and breaks, and how likely it is the better model."""
    fixes, breaks = newly_right(examples), newly_wrong(examples)
    return Paired(fixes=len(fixes), breaks=len(breaks), p_better=p_better(len(fixes), len(breaks)))


def newly_right(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the subjects that the champion got wrong and the candidate gets right."""
    return tuple(e.subject for e in examples if e.candidate == e.truth != e.champion)


def newly_wrong(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the subjects that the champion got right and the candidate gets wrong."""
    return tuple(e.subject for e in examples if e.champion == e.truth != e.candidate)


def confusion(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how often each truth was called what."""
    seen = Counter((example.truth, example.candidate) for example in examples)
    return {truth: {said: seen[truth, said] for said in labels} for truth in labels}


def labels_to_decide(fixes: int, breaks: int, n: int, wanted: float) -> int | None:
    """Return about how many more labels would lift P(better) to `wanted`, at the rates seen so far.

    None if more labels of the same sort never would.
    """
    if fixes <= breaks:
        return None
    factor = 1.0
    while p_better(round(fixes * factor), round(breaks * factor)) < wanted:
        factor *= 1.1
    return ceil(n * (factor - 1))
