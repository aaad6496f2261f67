"""Assembly: from lines of the raw log to the rows of a version; pure, and blind to their order.

This is what a build means. `growth` comes to the same, and is what builds run; tests compare them.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from burnish.datasets.checks import check
from burnish.datasets.curation import Exam, Inputs, curate, locate
from burnish.datasets.digests import rows_digest
from burnish.datasets.model import Fate, Reason, Row
from burnish.datasets.splits import Ledger, divide
from burnish.feedback.model import RawRecord
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.policy import ModelPolicy


class Assembled(Struct, frozen=True, kw_only=True):
    """A version before it has a number and a place."""

    rows: list[Row]
    fates: list[Fate]  # by shard and offset
    ledger: Ledger
    digest: str


def assemble(
    verdicts: Sequence[Verdict],
    policy: ModelPolicy,
    parent: Ledger,
    *,
    predictions: Mapping[str, Prediction],
    gone: Collection[str] = frozenset(),
    unreadable: Sequence[tuple[str, RawRecord]] = (),
) -> Assembled:
    """Curate and split the verdicts of one model, and account for every line.

    Args:
        verdicts: all of the model, up to the version's offsets.
        policy: the model's.
        parent: the ledger of the version before; an empty one before the first.
        predictions: those that the verdicts name, by id, as far as they are known.
        gone: payload digests whose bytes are not in the object store.
        unreadable: lines, with their shard, that may be this model's but no longer parse.

    Raises LabelOutsideSet, ClassTooSmall, EmptySplit.
    """
    inputs = locate(verdicts, predictions, policy.feedback.window, gone=gone)
    return assembled(verdicts, inputs, policy, parent, unreadable=unreadable)


def assembled(
    verdicts: Sequence[Verdict],
    inputs: Inputs,
    policy: ModelPolicy,
    parent: Ledger,
    *,
    unreadable: Sequence[tuple[str, RawRecord]] = (),
) -> Assembled:
    """Curate and split verdicts of which it is known what each judges; else as `assemble`."""
    ledger = parent.under(policy.dataset)
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        inputs,
        held=ledger.held_subjects,
        exam=exam,
        rank=ledger.rank(exam.subjects),
    )
    divided = divide(curated.examples, policy, ledger, reserved=exam.subjects)
    left_out = curated.left_out | divided.left_out
    check(divided.rows, policy, left_out.values())
    splits = {row.subject: row.split for row in divided.rows}
    fates = [
        Fate(
            shard=verdict.shard,
            offset=verdict.offset,
            source=verdict.source,
            id=verdict.id,
            subject=verdict.subject_id,
            corrected=verdict.corrected,
            split=None if verdict.place in left_out else splits[verdict.subject_id],
            reason=left_out.get(verdict.place),
        )
        for verdict in verdicts
    ]
    fates += [
        Fate(shard=shard, offset=raw.offset, source=raw.source, id=raw.id, reason=Reason.UNREADABLE)
        for shard, raw in unreadable
    ]
    return Assembled(
        rows=divided.rows,
        fates=sorted(fates, key=lambda fate: (fate.shard, fate.offset)),
        ledger=ledger.after(divided.rows),
        digest=rows_digest(divided.rows, policy.digest),
    )
