"""Contract of `monitoring.ports`: what became of the answers of one release."""

from collections.abc import Callable

from sqlalchemy import Engine

from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.sql.unit import SqlUnit
from burnish.feedback.model import Selection
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import ReleaseId
from burnish.monitoring.model import Tally
from support.concurrency import at_once
from support.databases import saved
from support.samples import prediction, said

Units = Callable[..., SqlUnit]
R1 = ReleaseId("r1")


def test_answers_are_counted_by_the_last_word_on_each(unit: Units, engine: Engine) -> None:
    SqlPredictions(engine).append(
        [prediction(number) for number in range(6)]
        + [prediction(6, release="r2"), prediction(7, generation=4), prediction(8, model="other")]
    )

    def on(number: int, final: str = "good", **changes: object) -> None:
        verdict = said(number, prediction_id=f"3.{number}", final=final)
        fields = {name: getattr(verdict, name) for name in verdict.__struct_fields__}
        with saved(unit()) as stores:
            stores.feedback.add([type(verdict)(**(fields | changes))])

    on(0)
    on(1, "defect", selection=Selection.UNCERTAINTY)
    on(2, selection=Selection.RANDOM)
    on(3, "defect", selection=Selection.RANDOM)
    # The last word counts, by source and id where the times are the same: by bytes, "B" < "a".
    on(4, "defect", id="B", offset=40, selection=Selection.RANDOM)
    on(4, id="a", offset=41)
    # Of others, or on nothing
    on(6, "defect")
    on(7, "defect")
    on(8, "defect", model="other")
    on(9, "defect")

    with unit(reads_only=True) as stores:
        tally = stores.outcomes.tally("laundry", R1, 3)
        assert stores.outcomes.tally("laundry", R1, 9) == Tally(
            predictions=0, right=0, wrong=0, sampled_right=0, sampled_wrong=0
        )
    assert tally.right == 3
    assert (tally.wrong, tally.sampled_right, tally.sampled_wrong) == (2, 2, 1)


def test_what_was_published_is_found_by_type_and_subject(unit: Units) -> None:
    with saved(unit()) as stores:
        for type_, subject in (("Low", "r1"), ("Low", "r2"), ("Failed", "r1"), ("Low", "r1")):
            stores.outbox.publish(type_, "laundry", subject, {"generation": 3})
    with unit(reads_only=True) as stores:
        found = stores.notices.published("Low", "r1")
    assert [(event.type, event.subject, event.data) for event in found] == [
        ("Low", "r1", {"generation": 3})
    ] * 2


def test_who_looks_after_an_audit_row_tells_a_thing_once(unit: Units) -> None:
    def tell(_: int) -> None:
        with unit() as stores:
            stores.audit.record(SYSTEM, "told", "release:r1")
            if not stores.notices.published("Low", "r1"):
                stores.outbox.publish("Low", "laundry", "r1")
                stores.commit()

    _, errors = at_once(tell)
    assert errors == []
    with unit() as stores:
        assert len(stores.notices.published("Low", "r1")) == 1
        assert len(stores.audit_log.newest(limit=9)) == 1
