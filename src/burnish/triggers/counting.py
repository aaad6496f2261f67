"""Counting what a dataset built now would learn from, and why the rest would not be in it."""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from burnish.datasets.contents import elsewhere, known
from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.model import Example, Reason
from burnish.datasets.shares import over_share
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Tally
from burnish.triggers.ports import TriggerUnit


class Counted(Struct, frozen=True, kw_only=True):
    """A tally, and what could not be found for it: predictions, and inputs that lie elsewhere."""

    tally: Tally
    unknown: tuple[str, ...]  # ids and URIs, sorted


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
        unknown: predictions and inputs to take for unknown, though they are known by now.
    """
    verdicts = unit.feedback.on_touched_subjects(policy.name, since, upto)
    named = {verdict.prediction_id for verdict in verdicts if verdict.prediction_id is not None}
    predictions = unit.predictions.lookup(named - set(unknown))
    contents = known(unit.payloads, policy, verdicts, predictions)
    fetched = {uri: found for uri, found in contents.fetched.items() if uri not in unknown}
    contents = replace(contents, fetched=fetched)
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        locate(verdicts, predictions, policy.feedback.window, contents=contents),
        exam=exam,
        rank=Ledger().rank(exam.subjects),
        reviewers=policy.dataset.reviewers,
    )
    left_out = Counter(
        reason.value
        for (shard, offset), reason in curated.left_out.items()
        if offset >= since.get(shard, 0)
    )
    corrections: list[Example] = []
    confirmed = 0
    for example in curated.examples:
        if not example.verdict.beyond(since):
            continue
        if example.subject in exam.subjects:
            left_out[Reason.HELD_OUT.value] += 1
        elif example.verdict.corrected:
            corrections.append(example)
        else:
            confirmed += 1
    over = over_share(corrections, policy.dataset.actor_share)
    left_out.update(reason.value for reason in over.values())
    return Counted(
        tally=Tally(
            effective=len(corrections) - len(over), confirmed=confirmed, left_out=dict(left_out)
        ),
        unknown=tuple(
            sorted((named - predictions.keys()) | (elsewhere(verdicts) - fetched.keys()))
        ),
    )
