from datetime import UTC, datetime, timedelta
from typing import Any

from burnish.datasets.curation import Curated, Exam, curate, locate
from burnish.datasets.model import Reason
from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest
from support.samples import prediction

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(days=30)


def verdict(subject: str, final: str, offset: int, **changes: Any) -> Verdict:
    fields = {
        "source": "app",
        "id": f"id-{offset}",
        "shard": "a",
        "offset": offset,
        "model": "laundry",
        "subject_id": subject,
        "final": final,
        "corrected": True,
        "occurred_at": NOON + timedelta(seconds=offset),
        "received_at": NOON + timedelta(seconds=offset),
        "payload": f"burnish:{digest(subject.encode())}",
        "actor": "kim",
    }
    return Verdict(**(fields | changes))


def curated(*verdicts: Verdict, **options: Any) -> Curated:
    return curate(verdicts, locate(verdicts, {}, WINDOW), **options)


def labels(result: Curated) -> dict[str, str]:
    return {example.subject: example.verdict.final for example in result.examples}


def reasons(result: Curated) -> dict[int, Reason]:
    return {offset: reason for (_, offset), reason in result.left_out.items()}


def test_of_an_actors_verdicts_on_a_subject_the_last_one_counts() -> None:
    result = curated(verdict("a", "good", 0), verdict("a", "defect", 1))
    assert labels(result) == {"a": "defect"}
    assert reasons(result) == {0: Reason.SUPERSEDED}


def test_the_last_verdict_is_the_one_that_happened_last_not_the_one_that_arrived_last() -> None:
    late = verdict("a", "good", 1, occurred_at=NOON - timedelta(days=1))
    assert labels(curated(verdict("a", "defect", 0), late)) == {"a": "defect"}


def test_verdicts_of_one_moment_are_ordered_by_source_and_id() -> None:
    one = verdict("a", "good", 0, source="z", occurred_at=NOON)
    other = verdict("a", "defect", 1, source="y", occurred_at=NOON)
    assert labels(curated(one, other)) == {"a": "good"}


def test_actors_who_disagree_leave_the_subject_to_nobody() -> None:
    result = curated(
        verdict("a", "good", 0), verdict("a", "good", 1), verdict("a", "defect", 2, actor="lee")
    )
    assert labels(result) == {}
    assert reasons(result) == {
        0: Reason.SUPERSEDED,
        1: Reason.CONTRADICTION,
        2: Reason.CONTRADICTION,
    }


def test_an_actor_who_comes_round_ends_the_contradiction() -> None:
    result = curated(
        verdict("a", "good", 0),
        verdict("a", "defect", 1, actor="lee"),
        verdict("a", "defect", 2),
    )
    assert labels(result) == {"a": "defect"}


def test_a_copy_counts_once_and_a_later_record_of_its_identity_not_at_all() -> None:
    first = verdict("a", "good", 0, id="same", occurred_at=NOON)
    copy = verdict("a", "good", 1, id="same", occurred_at=NOON)
    other = verdict("a", "defect", 2, id="same", shard="b")
    result = curated(other, copy, first)
    assert labels(result) == {"a": "good"}
    assert reasons(result) == {1: Reason.DUPLICATE, 2: Reason.IDENTITY_CONFLICT}


def test_equal_content_under_two_subjects_counts_once() -> None:
    photo = f"burnish:{digest(b'photo')}"
    result = curated(verdict("b", "good", 0, payload=photo), verdict("a", "good", 1, payload=photo))
    assert labels(result) == {"a": "good"}
    assert reasons(result) == {0: Reason.NEAR_DUPLICATE}


def test_whoever_has_a_side_already_stands_for_the_content() -> None:
    photo = f"burnish:{digest(b'photo')}"
    known = {"b": 0}
    result = curated(
        verdict("b", "good", 0, payload=photo),
        verdict("a", "good", 1, payload=photo),
        rank=lambda subject: known.get(subject, 1),
    )
    assert labels(result) == {"b": "good"}


def test_equal_content_with_different_labels_is_a_contradiction() -> None:
    photo = f"burnish:{digest(b'photo')}"
    result = curated(
        verdict("a", "good", 0, payload=photo), verdict("b", "defect", 1, payload=photo)
    )
    assert labels(result) == {}
    assert set(reasons(result).values()) == {Reason.CONTRADICTION}


def test_content_that_uncertainty_chose_once_stays_marked() -> None:
    photo = f"burnish:{digest(b'photo')}"
    result = curated(
        verdict("a", "good", 0, payload=photo),
        verdict("b", "good", 1, payload=photo, selection=Selection.UNCERTAINTY),
    )
    assert [example.uncertain for example in result.examples] == [True]


def test_on_a_held_out_subject_what_uncertainty_asked_for_does_not_count() -> None:
    asked = verdict("a", "defect", 1, selection=Selection.UNCERTAINTY)
    result = curated(verdict("a", "good", 0), asked, held={"a"})
    assert labels(result) == {"a": "good"}
    assert reasons(result) == {1: Reason.UNCERTAIN_IN_HOLDOUT}


def test_a_prediction_leads_to_the_input_that_was_captured() -> None:
    photo = digest(b"photo")
    given = verdict("a", "good", 0, payload=None, prediction_id="3.x")
    foreign = verdict("b", "good", 1, payload=None, prediction_id="3.y")
    unknown = verdict("c", "good", 2, payload=None, prediction_id="3.z")
    uncaptured = verdict("d", "good", 3, payload=None, prediction_id="3.w")
    nothing = verdict("e", "good", 4, payload=None)
    elsewhere = verdict("f", "good", 5, payload="https://photos.example/1.jpg")
    predictions = {
        "3.x": prediction(1, id="3.x", payload_sha256=photo),
        "3.y": prediction(2, id="3.y", model="face", payload_sha256=photo),
        "3.w": prediction(3, id="3.w", payload_sha256=None),
    }
    verdicts = [given, foreign, unknown, uncaptured, nothing, elsewhere]
    assert list(locate(verdicts, predictions, WINDOW).values()) == [
        photo,
        Reason.PREDICTION_FOREIGN,
        Reason.PREDICTION_UNKNOWN,
        Reason.PAYLOAD_MISSING,
        Reason.PAYLOAD_MISSING,
        Reason.PAYLOAD_NOT_STORED,
    ]
    assert locate([given], predictions, WINDOW, gone={photo}) == {
        given.place: Reason.PAYLOAD_MISSING
    }


def test_a_record_of_an_unknown_prediction_overrules_nobody() -> None:
    bogus = verdict("a", "defect", 1, payload=None, prediction_id="3.z")
    result = curated(verdict("a", "good", 0), bogus)
    assert labels(result) == {"a": "good"}
    assert reasons(result) == {1: Reason.PREDICTION_UNKNOWN}


def test_a_payload_of_ones_own_does_not_make_up_for_a_prediction_that_does_not_hold() -> None:
    names = {"unknown": "3.z", "foreign": "3.y", "late": "3.x", "in-time": "3.w"}
    verdicts = [
        verdict(subject, "good", offset, prediction_id=id_)
        for offset, (subject, id_) in enumerate(names.items())
    ]
    predictions = {
        "3.y": prediction(2, id="3.y", model="face"),
        "3.x": prediction(1, id="3.x", at=NOON - WINDOW),  # received two seconds after the window
        "3.w": prediction(3, id="3.w", at=NOON - WINDOW + timedelta(seconds=3)),
    }
    result = curate(verdicts, locate(verdicts, predictions, WINDOW))
    assert reasons(result) == {
        0: Reason.PREDICTION_UNKNOWN,
        1: Reason.PREDICTION_FOREIGN,
        2: Reason.PREDICTION_EXPIRED,
    }
    assert labels(result) == {"in-time": "good"}


def test_a_last_word_whose_input_is_gone_does_not_fall_back_on_a_label_that_it_overruled() -> None:
    gone = verdict("a", "defect", 1, payload=None)
    result = curated(verdict("a", "good", 0), gone)
    assert labels(result) == {}
    assert reasons(result) == {0: Reason.SUPERSEDED, 1: Reason.PAYLOAD_MISSING}


def test_nobody_else_is_heard_on_a_subject_of_the_holdout_source() -> None:
    said = [verdict("a", "good", 0, source="gold"), verdict("a", "defect", 1, actor="lee")]
    result = curated(*said, exam=Exam.of(said, "gold"))
    assert labels(result) == {"a": "good"}
    assert reasons(result) == {1: Reason.HELD_OUT}


def test_nobody_else_is_heard_on_a_photo_of_the_holdout_source() -> None:
    photo = f"burnish:{digest(b'photo')}"
    said = [
        verdict("z", "good", 0, payload=photo, source="gold"),
        verdict("a", "defect", 1, payload=photo),
        verdict("b", "good", 2, payload=photo),
    ]
    result = curated(*said, exam=Exam.of(said, "gold"))
    assert labels(result) == {"z": "good"}
    assert reasons(result) == {1: Reason.CONTRADICTION, 2: Reason.NEAR_DUPLICATE}


def test_a_holdout_source_that_disagrees_with_itself_holds_nothing_out() -> None:
    photo = f"burnish:{digest(b'photo')}"
    said = [
        verdict("y", "good", 0, payload=photo, source="gold"),
        verdict("z", "defect", 1, payload=photo, source="gold"),
    ]
    assert labels(curated(*said, exam=Exam.of(said, "gold"))) == {}


def test_a_reviewers_later_word_settles_a_contradiction() -> None:
    quarrel = verdict("a", "good", 0), verdict("a", "defect", 1, actor="lee")
    word = verdict("a", "defect", 2, actor="ann")
    result = curated(*quarrel, word, reviewers={"ann"})
    assert labels(result) == {"a": "defect"}
    assert reasons(result) == {0: Reason.SUPERSEDED, 1: Reason.SUPERSEDED}
    assert labels(curated(*quarrel, word)) == {}


def test_who_disagrees_after_the_reviewer_opens_it_again() -> None:
    word = verdict("a", "defect", 0, actor="ann")
    result = curated(word, verdict("a", "good", 1), reviewers={"ann"})
    assert set(reasons(result).values()) == {Reason.CONTRADICTION}


def test_reviewers_who_disagree_settle_nothing() -> None:
    result = curated(
        verdict("a", "good", 0),
        verdict("a", "good", 1, actor="ann"),
        verdict("a", "defect", 2, actor="bob"),
        reviewers={"ann", "bob"},
    )
    assert labels(result) == {}


def test_a_reviewers_later_word_settles_what_two_subjects_show() -> None:
    photo = f"burnish:{digest(b'photo')}"
    said = (
        verdict("a", "good", 0, payload=photo),
        verdict("b", "defect", 1, payload=photo),
        verdict("c", "defect", 2, payload=photo, actor="ann"),
    )
    result = curated(*said, reviewers={"ann"})
    assert labels(result) == {"c": "defect"}
    assert reasons(result) == {0: Reason.CONTRADICTION, 1: Reason.NEAR_DUPLICATE}
