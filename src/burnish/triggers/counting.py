"""Counting what a dataset built now would learn from, and why the rest would not be in it."""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct

from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.model import Reason
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Tally
from burnish.triggers.ports import TriggerUnit


class Counted(Struct, frozen=True, kw_only=True):
    """A tally, and the predictions that could not be found for it."""

    tally: Tally
    unknown: tuple[str, ...]  # by id, sorted


def count(
    unit: TriggerUnit,
    policy: ModelPolicy,
    *,
    since: Offsets,
    upto: Offsets,
    unknown: Collection[str] = (),
) -> Counted:
    """Count the records of a model with `since <= offset < upto` as a dataset build would.

    Curates as the build does, but reads only subjects with news, so that it costs by what is new:
    it does not know which subjects the hash will hold out, which payloads are gone, or that content
    equals that of a subject without news. There it may count more than the build.

    Args:
        unit: the transaction to read in.
        policy: the model's.
        since: where the last training ended.
        upto: where the count ends.
        unknown: predictions to take for unknown, though they are known by now.
    """
    verdicts = unit.feedback.on_touched_subjects(policy.name, since, upto)
    named = {verdict.prediction_id for verdict in verdicts if verdict.prediction_id is not None}
    predictions = unit.predictions.lookup(named - set(unknown))
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        locate(verdicts, predictions, policy.feedback.window),
        exam=exam,
        rank=Ledger().rank(exam.subjects),
    )
    left_out = Counter(
        reason.value
        for (shard, offset), reason in curated.left_out.items()
        if offset >= since.get(shard, 0)
    )
    effective = confirmed = 0
    for example in curated.examples:
        if not example.verdict.beyond(since):
            continue
        if example.subject in exam.subjects:
            left_out[Reason.HELD_OUT.value] += 1
        elif example.verdict.corrected:
            effective += 1
        else:
            confirmed += 1
    return Counted(
        tally=Tally(effective=effective, confirmed=confirmed, left_out=dict(left_out)),
        unknown=tuple(sorted(named - predictions.keys())),
    )
