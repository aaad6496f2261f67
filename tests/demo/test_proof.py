"""Given what a platform left behind, when one thing is not as promised, then the proof says so."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from burnish.adapters.raw_object import encode, object_key
from burnish.adapters.sql.unit import SqlUnit
from burnish.demo.album import DemoError
from burnish.demo.footprints import check_empty, raw_lines, read_footprints
from burnish.demo.proof import BEGUN, DONE, Footprints, Note, RecordKey, StepKey, prove, repeats
from burnish.feedback.model import RawRecord
from burnish.kernel.errors import BurnishError
from burnish.pipeline import performer
from support.databases import NOON, saved

ACCEPTED: list[RecordKey] = [("review", "a"), ("review", "b"), ("seed", "a")]
STEPS = ("collect", "prepare", "train")

LEFT = Footprints(
    lines=ACCEPTED,
    notes=[(what, "r1", step) for step in STEPS for what in (BEGUN, DONE)],
    done=frozenset(("r1", step) for step in STEPS),
    events=Counter({"RunStarted": 1, "RunMoved": 9, "TrainingCompleted": 1}),
    rows={"RunStarted": 1, "TrainingCompleted": 1},
    attempts={"j1": 1},
)


def test_what_is_as_promised_has_no_faults() -> None:
    proof = prove(ACCEPTED, LEFT)
    assert proof.faults == []
    assert (proof.accepted, proof.in_raw_log, proof.missing, proof.duplicates) == (3, 3, 0, 0)
    assert (proof.steps, proof.steps_repeated) == (3, 0)


def test_a_missing_record_is_a_fault() -> None:
    proof = prove(ACCEPTED, replace(LEFT, lines=ACCEPTED[1:]))
    assert (proof.in_raw_log, proof.missing, proof.duplicates) == (2, 1, 0)
    assert proof.faults == ["1 accepted records are not in the raw log: review a."]


def test_a_doubled_record_is_a_fault() -> None:
    proof = prove(ACCEPTED, replace(LEFT, lines=[*ACCEPTED, ACCEPTED[2]]))
    assert (proof.in_raw_log, proof.missing, proof.duplicates) == (4, 0, 1)
    assert proof.faults == ["1 records are in the raw log more than once: seed a."]


def test_a_record_that_nobody_was_told_of_is_a_fault() -> None:
    proof = prove(ACCEPTED[:2], LEFT)
    assert proof.faults == ["1 records of the raw log were never accepted: seed a."]


@given(
    accepted=st.lists(st.sampled_from("abcdef")).map(lambda ids: [("s", id_) for id_ in ids]),
    lines=st.lists(st.sampled_from("abcdef")).map(lambda ids: [("s", id_) for id_ in ids]),
)
def test_the_raw_log_is_right_exactly_if_it_holds_each_accepted_record_once(
    accepted: list[RecordKey], lines: list[RecordKey]
) -> None:
    proof = prove(accepted, replace(LEFT, lines=lines))
    assert (proof.faults == []) == (sorted(set(accepted)) == sorted(lines))


def test_a_step_cut_off_by_a_crash_may_begin_again() -> None:
    notes = [(BEGUN, "r1", "collect"), *LEFT.notes]
    assert prove(ACCEPTED, replace(LEFT, notes=notes)).faults == []


def test_a_step_whose_last_word_was_lost_is_no_fault() -> None:
    notes = [note for note in LEFT.notes if note != (DONE, "r1", "prepare")]
    assert prove(ACCEPTED, replace(LEFT, notes=notes)).faults == []


@pytest.mark.parametrize("what", [BEGUN, DONE])
def test_a_finished_step_that_begins_or_ends_again_is_a_fault(what: str) -> None:
    proof = prove(ACCEPTED, replace(LEFT, notes=[*LEFT.notes, (what, "r1", "prepare")]))
    assert proof.steps_repeated == 1
    assert proof.faults == ["1 finished steps ran again: r1 prepare."]


def test_a_step_of_another_run_is_another_step() -> None:
    notes: list[Note] = [(what, run, "train") for run in ("r1", "r2") for what in (BEGUN, DONE)]
    assert repeats(notes) == []


def test_a_done_step_that_no_worker_told_of_is_a_fault() -> None:
    done: frozenset[StepKey] = frozenset({*LEFT.done, ("r2", "train")})
    proof = prove(ACCEPTED, replace(LEFT, done=done))
    assert proof.faults == ["1 steps are done that no worker said it had begun: r2 train."]


@pytest.mark.parametrize("events", [0, 2])
def test_an_effect_that_is_told_of_twice_or_never_is_a_fault(events: int) -> None:
    told = LEFT.events | Counter()
    told["TrainingCompleted"] = events
    proof = prove(ACCEPTED, replace(LEFT, events=told))
    assert proof.faults == [
        f"There are {events} events TrainingCompleted for 1 things that happened."
    ]


def test_an_attempt_that_was_lost_is_a_fault() -> None:
    proof = prove(ACCEPTED, replace(LEFT, attempts={"j1": 2}))
    assert proof.faults == ["1 training jobs lost an attempt: j1 2."]


def test_many_faults_of_a_kind_are_told_by_examples() -> None:
    many = [("s", f"{number:02}") for number in range(20)]
    proof = prove(many, replace(LEFT, lines=[]))
    assert proof.faults == ["20 accepted records are not in the raw log: s 00, s 01, s 02, …."]


def record(offset: int, id_: str) -> RawRecord:
    return RawRecord(
        offset=offset,
        received_at=NOON,
        source="review",
        id=id_,
        content_type="application/json",
        body='{"id": "another"}',
    )


def store(objects: Path, *records: RawRecord) -> None:
    path = objects / object_key("0", records[0].offset, records[-1].offset, NOON)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(records))


def test_every_line_of_every_object_is_read(tmp_path: Path) -> None:
    store(tmp_path, record(0, "a"), record(1, "b"))
    store(tmp_path, record(1, "b"), record(2, "c"))  # as if a range had been sealed twice
    assert list(raw_lines(tmp_path)) == [("review", id_) for id_ in "abbc"]


def test_footprints_are_read_from_files_and_from_either_database(
    tmp_path: Path, database: str, unit: Callable[..., SqlUnit]
) -> None:
    store(tmp_path / "objects", record(0, "a"))
    log = tmp_path / "worker.log"
    log.write_text(
        '{"event": "step begun", "run": "r1", "step": "train", "level": "info"}\n'
        '{"event": "look failed", "what": "jobs"}\n'
        "Traceback (most recent call last):\n"
        '{"event": "step done", "run": "r1", "step": "train"}\n'
        '{"event": "step begun", "run": "r1'
    )
    with saved(unit()) as transaction:
        transaction.outbox.publish("RunStarted", "laundry", "r1")
    left = read_footprints(tmp_path / "objects", log, database)
    assert list(left.lines) == [("review", "a")]
    assert list(left.notes) == [(BEGUN, "r1", "train"), (DONE, "r1", "train")]
    assert left.events["RunStarted"] == 1
    assert (set(left.rows.values()), left.done, left.attempts) == ({0}, frozenset(), {})


def test_the_proof_looks_for_what_workers_say() -> None:
    assert (BEGUN, DONE) == (performer.BEGUN, performer.DONE)


def test_a_database_without_tables_is_empty(empty_database: str) -> None:
    check_empty(empty_database)


def test_a_database_with_tables_is_refused_with_its_name_and_what_to_do(database: str) -> None:
    with pytest.raises(DemoError, match=r"is not empty: it holds \d+ tables .*createdb") as refusal:
        check_empty(database)
    assert database.rpartition("/")[2].partition("?")[0] in str(refusal.value)


def test_a_database_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(BurnishError, match="does not answer"):
        check_empty("postgresql://ann:secret@127.0.0.1:1/nowhere")
