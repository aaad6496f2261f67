"""What a dataset must have before a model may be trained and judged on it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from burnish.datasets.advice import ADVICE, is_to_do
from burnish.datasets.model import (
    MIN_CLASS_EXAMPLES,
    ClassTooSmall,
    EmptySplit,
    LabelOutsideSet,
    Reason,
    Row,
    Split,
)
from burnish.kernel.policy import ModelPolicy

Counts = Mapping[str, Mapping[str, int]]  # split -> label -> examples


def check(rows: Sequence[Row], policy: ModelPolicy, left_out: Iterable[Reason] = ()) -> None:
    """Refuse rows on which no model can be trained and judged.

    Raises LabelOutsideSet, ClassTooSmall or EmptySplit; each says what to do, and why records
    were left out, since that is often the cause.
    """
    check_labels(rows, policy)
    seen = Counter((row.split, row.label) for row in rows)
    counts = {
        split.value: {label: seen[split, label] for label in policy.labels} for split in Split
    }
    check_counts(counts, policy, Counter(reason.value for reason in left_out))


def check_labels(rows: Iterable[Row], policy: ModelPolicy) -> None:
    """Raise LabelOutsideSet for the first row whose label the policy does not know."""
    for row in rows:
        if row.label not in policy.labels:
            raise LabelOutsideSet(
                f"The last verdict on subject {row.subject!r} is {row.label!r}, but"
                f" {policy.name} knows {', '.join(policy.labels)}: add the label to `labels` in"
                " the policy, or send a verdict on the subject with one of these.",
                subject=row.subject,
                label=row.label,
            )


def check_counts(counts: Counts, policy: ModelPolicy, left_out: Mapping[str, int]) -> None:
    """Raise ClassTooSmall or EmptySplit if a label or a split has too few examples.

    Args:
        counts: of examples, by split and label.
        policy: the model's.
        left_out: how many records are in no split, by reason.
    """
    why = _explain(left_out)
    _classes(counts[Split.TRAIN], policy, why)
    sizes = {split: sum(labels.values()) for split, labels in counts.items()}
    if policy.dataset.validation > 0 and not sizes[Split.VALIDATION]:
        raise EmptySplit(
            f"No example of {policy.name} fell into validation, of {sizes[Split.TRAIN]} that train:"
            f" send more verdicts, or raise `dataset.validation` in the policy.{why}",
            split=Split.VALIDATION.value,
        )
    if policy.dataset.holdout_source and not sizes[Split.HOLDOUT]:
        raise EmptySplit(
            f"No example of {policy.name} comes from {policy.dataset.holdout_source!r}: send its"
            f" verdicts, on subjects that never trained, or change `dataset.holdout_source`.{why}",
            split=Split.HOLDOUT.value,
        )
    if policy.dataset.holdout > 0 and not sizes[Split.HOLDOUT]:
        raise EmptySplit(
            f"No example of {policy.name} can be held out: a subject that trained or that"
            " uncertainty chose must not be. Send verdicts on other subjects, such as a random"
            f" share of predictions, or set `dataset.holdout` to 0.{why}",
            split=Split.HOLDOUT.value,
        )


def _classes(sizes: Mapping[str, int], policy: ModelPolicy, why: str) -> None:
    for label in policy.labels:
        if sizes[label] < MIN_CLASS_EXAMPLES:
            raise ClassTooSmall(
                f"{policy.name} has {sizes[label]} training examples of {label!r} and needs"
                f" {MIN_CLASS_EXAMPLES}: send verdicts on more {label!r} subjects.{why}",
                label=label,
                count=sizes[label],
                minimum=MIN_CLASS_EXAMPLES,
            )


def _explain(left_out: Mapping[str, int]) -> str:
    counts = Counter(left_out)
    if not counts:
        return ""
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    fixes = [f" {reason}: {ADVICE[reason]}" for reason in map(Reason, counts) if is_to_do(reason)]
    return f" Left out: {listed}.{''.join(fixes)}"
