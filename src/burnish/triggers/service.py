"""Considering a model: count, decide, store the decision, start the run; one transaction."""

from datetime import datetime

from burnish.datasets.contents import known
from burnish.datasets.curation import Exam, curate, locate
from burnish.datasets.shares import over_share
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import DecisionEntry, decide
from burnish.triggers.ports import TriggerUnit


def consider(
    unit: TriggerUnit,
    policy: ModelPolicy,
    *,
    now: datetime,
    operator: str | None = None,
    actor: Actor = SYSTEM,
) -> DecisionEntry:
    """Decide whether the policy's model retrains now, and start the run if so.

    The last training is the last run that a decision started, however it ended: a run that failed
    is retried by a person, not by firing again on the corrections that it failed on. A decision
    that repeats the one before it, number for number, is not stored again; that one is returned.

    Args:
        unit: the transaction that is to hold the decision, the run and their traces.
        policy: the model's.
        now: the present moment.
        operator: why a person asks for a run, if one does.
        actor: who asks.
    """
    model = policy.name
    with unit:
        # Asked first: from here on, nobody else decides on this model.
        active = unit.run_starter.active(model)
        last = unit.decisions.last_fired(model)
        offsets = unit.feedback.offsets()
        effective = count_effective(unit, policy, last.offsets if last else {})
        since_last = now - last.at if last else None
        decision = decide(
            policy.trigger,
            effective=effective,
            since_last=since_last,
            active_run=active,
            operator=operator,
        )
        run = None
        if decision.fire:
            run = unit.run_starter.start(policy, decision, offsets, actor=actor)
            if run is None:  # one began between the question and the start
                decision = decide(
                    policy.trigger, effective=effective, since_last=since_last, active_run=True
                )
        before = unit.decisions.latest(model)
        if before is not None and before.repeats(decision, policy.digest):
            return before
        entry = unit.decisions.add(policy, decision, at=now, offsets=offsets, run=run)
        unit.commit()
    return entry


def count_effective(unit: TriggerUnit, policy: ModelPolicy, since: Offsets) -> int:
    """Count the corrections beyond `since` that a dataset built now would let train.

    Curates as the build does, but reads only subjects with news: it does not know which subjects
    the hash will hold out, which payloads are gone, or that content equals that of a subject
    without news; there it may count more than the build.
    """
    verdicts = unit.feedback.on_touched_subjects(policy.name, since)
    named = {verdict.prediction_id for verdict in verdicts}
    predictions = unit.predictions.lookup({name for name in named if name is not None})
    exam = Exam.of(verdicts, policy.dataset.holdout_source)
    curated = curate(
        verdicts,
        locate(
            verdicts,
            predictions,
            policy.feedback.window,
            contents=known(unit.payloads, policy, verdicts),
        ),
        exam=exam,
        rank=Ledger().rank(exam.subjects),
        reviewers=policy.dataset.reviewers,
    )
    news = [
        example
        for example in curated.examples
        if example.verdict.corrected
        and example.verdict.beyond(since)
        and example.subject not in exam.subjects
    ]
    return len(news) - len(over_share(news, policy.dataset.actor_share))
