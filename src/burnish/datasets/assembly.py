"""Assembly: from lines of the raw log to the rows of a version; pure, and blind to their order.

This is what a build means. `growth` comes to the same by what is new, and is what builds run; tests
compare them.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from burnish.datasets.checks import check
from burnish.datasets.contents import NOTHING_KNOWN, Contents
from burnish.datasets.curation import Exam, Inputs, curate, locate
from burnish.datasets.digests import rows_digest
from burnish.datasets.model import DatasetError, Fate, Reason, Row, Split
from burnish.datasets.shares import over_share
from burnish.datasets.splits import Ledger, divide, judges
from burnish.feedback.erasure import Identity
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
    contents: Contents = NOTHING_KNOWN,
    unreadable: Sequence[tuple[str, RawRecord]] = (),
    erased: Collection[Identity] = frozenset(),
    spent: bool = False,
) -> Assembled:
    """Curate and split the verdicts of one model, and account for every line.

    Args:
        verdicts: all of the model, up to the version's offsets.
        policy: the model's.
        parent: the ledger of the version before; an empty one before the first.
        predictions: those that the verdicts name, by id, as far as they are known.
        gone: payload digests whose bytes are not in the object store.
        contents: what is known of the payloads that the verdicts name.
        unreadable: lines, with their shard, that may be this model's but no longer parse.
        erased: records that a person had taken out.
        spent: whether the parent's holdout is worn. A new epoch begins then, if there is enough to
            judge by in it.

    Raises LabelOutsideSet, ClassTooSmall, EmptySplit.
    """
    inputs = locate(verdicts, predictions, policy.feedback.window, gone=gone, contents=contents)
    said = [verdict for verdict in verdicts if verdict.identity not in erased]
    gaps = [
        Fate(
            shard=verdict.shard,
            offset=verdict.offset,
            source=verdict.source,
            id=verdict.id,
            reason=Reason.ERASED,
        )
        for verdict in verdicts
        if verdict.identity in erased
    ]
    gaps += [
        Fate(
            shard=shard,
            offset=raw.offset,
            source=raw.source,
            id=raw.id,
            reason=Reason.ERASED if (raw.source, raw.id) in erased else Reason.UNREADABLE,
        )
        for shard, raw in unreadable
    ]

    def under(ledger: Ledger, *, worn: bool = False) -> Assembled:
        return _assembled(said, policy, ledger, inputs=inputs, gaps=gaps, worn=worn)

    ledger = parent.under(policy.dataset)
    if spent and ledger.epoch == parent.epoch and not policy.dataset.holdout_source:
        with suppress(DatasetError):
            fresh = under(ledger.rotated())
            if judges(sum(row.split is Split.HOLDOUT for row in fresh.rows), policy.dataset):
                return fresh
        return under(ledger, worn=True)
    return under(ledger)


def _assembled(
    verdicts: Sequence[Verdict],
    policy: ModelPolicy,
    ledger: Ledger,
    *,
    inputs: Inputs,
    gaps: Sequence[Fate],
    worn: bool,
) -> Assembled:
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        inputs,
        held=ledger.held_subjects,
        exam=exam,
        rank=ledger.rank(exam.subjects),
        reviewers=policy.dataset.reviewers,
    )
    over = over_share(curated.examples, policy.dataset.actor_share, exempt=exam.subjects)
    examples = [example for example in curated.examples if example.verdict.place not in over]
    divided = divide(examples, policy, ledger, reserved=exam.subjects, worn=worn)
    left_out = curated.left_out | over | divided.left_out
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
    return Assembled(
        rows=divided.rows,
        fates=sorted([*fates, *gaps], key=lambda fate: (fate.shard, fate.offset)),
        ledger=ledger.after(divided.rows),
        digest=rows_digest(divided.rows, policy.digest),
    )
