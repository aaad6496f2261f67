"""Counting what a dataset built now would learn from, and why the rest would not be in it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from burnish.datasets.contents import Noted, known, place_of
from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.model import Example, Reason
from burnish.datasets.shares import over_share
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Offsets, Place, Verdict
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import Tally
from burnish.triggers.ports import TriggerUnit

_PLACES: Final = 3  # of inputs that nobody has fetched, that are told


class Counted(Struct, frozen=True, kw_only=True):
    """A tally, and what it knew of predictions and inputs."""

    tally: Tally
    unknown: tuple[str, ...]  # ids of predictions that nobody knew, sorted
    noted: Noted  # how far what was found out of inputs reached


def count(
    unit: TriggerUnit,
    policy: ModelPolicy,
    *,
    since: Offsets,
    upto: Offsets,
    unknown: Collection[str] = (),
    noted: Noted | None = None,
) -> Counted:
    """Count the records of a model with `since <= offset < upto` as a dataset build would.

    Curates as the build does, but reads only subjects with news, so that it costs by what is new:
    it does not know which subjects the hash will hold out, which payloads are gone, or that content
    equals that of a subject without news. There it may count more than the build. A build waits
    until every photo has been looked at; here those count for nothing that nobody has looked at,
    since they may all show the same.

    Args:
        unit: the transaction to read in.
        policy: the model's.
        since: where the last training ended.
        upto: where the count ends.
        unknown: predictions to take for unknown, though they are known by now.
        noted: how much of inputs to take for found out; None: all that is by now.
    """
    noted = unit.payloads.noted() if noted is None else noted
    verdicts = unit.feedback.on_touched_subjects(policy.name, since, upto)
    named = {verdict.prediction_id for verdict in verdicts if verdict.prediction_id is not None}
    predictions = unit.predictions.lookup(named - set(unknown))
    contents = known(unit.payloads, policy, verdicts, predictions, upto=noted)
    if policy.compares_photos:
        contents = replace(contents, unseen=Reason.PAYLOAD_NOT_SEEN)
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        locate(verdicts, predictions, policy.feedback.window, contents=contents),
        exam=exam,
        rank=Ledger().rank(exam.subjects),
        reviewers=policy.dataset.reviewers,
    )
    reasons = {place: reason for place, reason in curated.left_out.items() if _beyond(place, since)}
    left_out = Counter(reason.value for reason in reasons.values())
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
            effective=len(corrections) - len(over),
            confirmed=confirmed,
            left_out=dict(left_out),
            places=_places(verdicts, reasons),
        ),
        unknown=tuple(sorted(named - predictions.keys())),
        noted=noted,
    )


def _places(verdicts: Iterable[Verdict], left_out: Mapping[Place, Reason]) -> tuple[str, ...]:
    """Return where inputs lie that nobody has fetched, the first few by name."""
    places = {
        place_of(verdict.payload)
        for verdict in verdicts
        if left_out.get(verdict.place) is Reason.PAYLOAD_NOT_STORED and verdict.payload
    }
    return tuple(sorted(places)[:_PLACES])


def _beyond(place: Place, since: Offsets) -> bool:
    shard, offset = place
    return offset >= since.get(shard, 0)
