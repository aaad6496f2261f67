"""Curation: which verdict counts for each subject, and why each of the others does not.

Pure, and a function of the *set* of verdicts: the order in which they come in changes nothing.
Datasets are built by it and triggers count by it, so that the two agree.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from burnish.datasets.contents import NOTHING_KNOWN, Contents
from burnish.datasets.model import Example, Reason
from burnish.feedback.model import Selection
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Place, Verdict, by_precedence, by_recency

OWN_STORE = "burnish:"  # payload URIs of our own object store: burnish:sha256:<hex>

Inputs = Mapping[Place, str | Reason]  # the digest of what a verdict judges, or why there is none


class Exam(Struct, frozen=True, kw_only=True):
    """A holdout that somebody made on purpose, and that no other source can change."""

    source: str
    subjects: frozenset[str]

    @classmethod
    def of(cls, verdicts: Iterable[Verdict], source: str) -> "Exam":
        """Return the exam of a source among a model's verdicts; no source, no exam."""
        if not source:
            return NO_EXAM
        spoken = (verdict.subject_id for verdict in verdicts if verdict.source == source)
        return cls(source=source, subjects=frozenset(spoken))


_INVALID: Final = frozenset(
    {Reason.PREDICTION_UNKNOWN, Reason.PREDICTION_FOREIGN, Reason.PREDICTION_EXPIRED}
)
NO_EXAM: Final = Exam(source="", subjects=frozenset())


class Curated(Struct, frozen=True, kw_only=True):
    """What curation kept, sorted by subject, and why it left out the rest."""

    examples: list[Example]
    left_out: dict[Place, Reason]


def locate(
    verdicts: Iterable[Verdict],
    predictions: Mapping[str, Prediction],
    window: timedelta,
    *,
    gone: Collection[str] = frozenset(),
    contents: Contents = NOTHING_KNOWN,
) -> dict[Place, str | Reason]:
    """Return the digest of each verdict's input, or why there is none.

    A record's own payload comes before the captured input of the prediction that it names; but the
    prediction must hold either way, since ingest accepts what it cannot check.

    Args:
        verdicts: of one model.
        predictions: those that the verdicts name, by id, as far as they are known.
        window: how long after a prediction a record that judges it may come.
        gone: digests whose bytes the object store does not have.
        contents: where payloads elsewhere led, and which content stands for which.
    """
    inputs: dict[Place, str | Reason] = {}
    for verdict in verdicts:
        found = _input_of(verdict, predictions, window, contents)
        inputs[verdict.place] = Reason.PAYLOAD_MISSING if found in gone else found
    return inputs


def curate(
    verdicts: Iterable[Verdict],
    inputs: Inputs,
    *,
    held: Collection[str] = frozenset(),
    exam: Exam = NO_EXAM,
    rank: Callable[[str], int] = lambda _: 0,
    reviewers: Collection[str] = (),
) -> Curated:
    """Choose the verdict that counts for each subject and each content.

    Args:
        verdicts: those of one model.
        inputs: what `locate` says of each.
        held: subjects that are held out: on them, verdicts that uncertainty asked for do not count.
        exam: the subjects of the policy's `holdout_source`: on them, and on content that they show,
            nobody else is heard.
        rank: of subjects that show the same content, one of the lowest rank stands for it.
        reviewers: actors whose word settles what others disagreed on before it.
    """
    left_out: dict[Place, Reason] = {}
    subjects: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in one_per_identity(verdicts, left_out):
        found = inputs[verdict.place]
        if found in _INVALID:
            left_out[verdict.place] = Reason(found)  # no valid record: it overrules nobody
        elif verdict.subject_id in exam.subjects and verdict.source != exam.source:
            left_out[verdict.place] = Reason.HELD_OUT
        elif (
            verdict.subject_id in held or verdict.subject_id in exam.subjects
        ) and verdict.selection is Selection.UNCERTAINTY:
            left_out[verdict.place] = Reason.UNCERTAIN_IN_HOLDOUT
        else:
            subjects[verdict.subject_id].append(verdict)
    examples: list[Example] = []
    for said in subjects.values():
        winner = _last_word(said, reviewers, left_out)
        if winner is None:
            continue
        found = inputs[winner.place]
        if isinstance(found, Reason):
            left_out[winner.place] = found
        else:
            uncertain = any(verdict.selection is Selection.UNCERTAINTY for verdict in said)
            examples.append(Example(verdict=winner, payload_sha256=found, uncertain=uncertain))
    kept = _one_per_content(examples, exam, rank, reviewers, left_out)
    return Curated(examples=sorted(kept, key=lambda kept: kept.subject), left_out=left_out)


def _input_of(
    verdict: Verdict,
    predictions: Mapping[str, Prediction],
    window: timedelta,
    contents: Contents,
) -> str | Reason:
    captured = None
    if verdict.prediction_id is not None:
        prediction = predictions.get(verdict.prediction_id)
        if prediction is None:
            return Reason.PREDICTION_UNKNOWN
        if prediction.model != verdict.model:
            return Reason.PREDICTION_FOREIGN
        if verdict.received_at - prediction.at > window:
            return Reason.PREDICTION_EXPIRED
        captured = prediction.payload_sha256
    if verdict.payload is not None:
        return contents.of_payload(verdict.payload)
    return contents.of_digest(captured or Reason.PAYLOAD_MISSING)


def one_per_identity(
    verdicts: Iterable[Verdict], left_out: dict[Place, Reason]
) -> Iterable[Verdict]:
    """Return, of copies of one record, the one received first: that is the record."""
    records: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=by_precedence):
        first = records.setdefault(verdict.identity, verdict)
        if first is not verdict:
            same = first.content == verdict.content
            left_out[verdict.place] = Reason.DUPLICATE if same else Reason.IDENTITY_CONFLICT
    return records.values()


def _last_word(
    said: list[Verdict], reviewers: Collection[str], left_out: dict[Place, Reason]
) -> Verdict | None:
    """Return the last verdict on a subject, or None if its judges disagree.

    Everyone may change their mind, so each actor's latest verdict speaks for them. Records without
    an actor speak for one unknown person. A reviewer's word settles what was said before it.
    """
    if len(said) == 1:
        return said[0]
    latest: dict[str | None, Verdict] = {}
    for verdict in sorted(said, key=by_recency):
        if verdict.actor in latest:
            left_out[latest[verdict.actor].place] = Reason.SUPERSEDED
        latest[verdict.actor] = verdict
    words = sorted(latest.values(), key=by_recency)
    if len({verdict.final for verdict in _unsettled(words, reviewers)}) > 1:
        left_out.update((verdict.place, Reason.CONTRADICTION) for verdict in words)
        return None
    left_out.update((verdict.place, Reason.SUPERSEDED) for verdict in words[:-1])
    return words[-1]


def _unsettled(words: Sequence[Verdict], reviewers: Collection[str]) -> Sequence[Verdict]:
    """Return, of verdicts in order of recency, those that no reviewer has spoken after.

    Reviewers settle what others said, not what another reviewer did: if they disagree, all wait.
    """
    spoken = [number for number, verdict in enumerate(words) if verdict.actor in reviewers]
    if not spoken:
        return words
    return [words[number] for number in spoken] + list(words[spoken[-1] + 1 :])


def _one_per_content(
    examples: list[Example],
    exam: Exam,
    rank: Callable[[str], int],
    reviewers: Collection[str],
    left_out: dict[Place, Reason],
) -> Iterable[Example]:
    """Of subjects with the same bytes, one counts if all agree on the label, else none.

    Where some disagree with an exam that agrees with itself, the exam is right; else a reviewer is
    who spoke last.
    """
    contents: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        contents[example.payload_sha256].append(example)
    for group in contents.values():
        if len(group) == 1:
            yield group[0]
            continue
        group.sort(key=lambda example: (rank(example.subject), example.subject))
        agreed = group
        if _disagree(agreed):
            agreed = [example for example in group if example.subject in exam.subjects]
            if not agreed:
                words = sorted((example.verdict for example in group), key=by_recency)
                open_ = {verdict.place for verdict in _unsettled(words, reviewers)}
                agreed = [example for example in group if example.verdict.place in open_]
        if not agreed or _disagree(agreed):
            left_out.update((example.verdict.place, Reason.CONTRADICTION) for example in group)
            continue
        first = agreed[0]
        for other in group:
            if other.verdict.final != first.verdict.final:
                left_out[other.verdict.place] = Reason.CONTRADICTION
            elif other is not first:
                left_out[other.verdict.place] = Reason.NEAR_DUPLICATE
        yield Example(
            verdict=first.verdict,
            payload_sha256=first.payload_sha256,
            uncertain=any(example.uncertain for example in group),
        )


def _disagree(examples: Iterable[Example]) -> bool:
    return len({example.verdict.final for example in examples}) > 1
