"""The projection follows the raw log, exactly once, whatever happens on the way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from burnish.adapters.sql.schema import feedback, shards
from burnish.feedback import service
from burnish.feedback.model import FeedbackRecord
from burnish.feedback.parse import record_of
from burnish.feedback.service import RawLogGap, project
from burnish.feedback.verdict import Verdict, verdict_of
from burnish.kernel.errors import Stale

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py


def projected(world: World) -> dict[str, str]:
    with world.engine.connect() as connection:
        rows = connection.execute(select(feedback.c.id, feedback.c.final))
        return {row.id: row.final for row in rows}


def offsets(world: World) -> dict[str, int]:
    with world.unit() as unit:
        found: dict[str, int] = unit.feedback.offsets()
        return found


def test_what_is_persisted_is_projected_once_and_names_the_models_with_news(
    world: World, about: About
) -> None:
    world.say(about("a", "good"), about("b", "defect", model="curtains"))
    assert world.project() == ["curtains", "laundry"]
    assert projected(world) == {"about-a": "good", "about-b": "defect"}
    assert offsets(world) == {"0": 2}
    assert world.project() == []
    world.say(about("c", "good"))
    assert world.project() == ["laundry"]
    assert offsets(world) == {"0": 3}


def test_a_projected_verdict_reads_back_as_it_was(world: World, about: About) -> None:
    said = about("a", "good", predicted="defect", selection="uncertainty", prediction_id=None)
    world.say(said)
    world.project()
    raw = next(world.raw_log.read("0", 0, 1))
    with world.unit() as unit:
        (read,) = unit.feedback.on_touched_subjects("laundry", {}, unit.feedback.offsets())
    assert read == verdict_of("0", raw, record_of(raw))


def test_copies_are_no_news(world: World, about: About) -> None:
    world.say(about("a", "good"))
    world.project()
    world.say(about("a", "good"), shard="1")
    assert world.project() == []
    assert offsets(world) == {"0": 1, "1": 1}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_across_shards_the_record_received_first_wins_whichever_is_projected_first(
    world: World, about: About, order: tuple[int, int]
) -> None:
    lines: list[tuple[str, list[FeedbackRecord]]] = [
        ("early", [about("a", "good")]),
        ("late", [about("filler", "good"), about("a", "defect")]),
    ]
    for which in order:
        shard, said = lines[which]
        world.say(*said, shard=shard)
        world.project()
    assert projected(world)["about-a"] == "good"


def test_the_projection_can_be_thrown_away_and_made_again(world: World, about: About) -> None:
    world.say(about("a", "good"), about("b", "good"))
    world.say(about("a", "defect"), about("c", "defect"), shard="1")
    world.project()
    before = projected(world)
    with world.engine.begin() as connection:
        connection.execute(delete(feedback))
        connection.execute(delete(shards))
    world.project()
    assert projected(world) == before


def test_a_line_that_no_longer_parses_is_passed_over(world: World, about: About) -> None:
    world.say(about("a", "good"), '{"source": "app"}', "no json", about("b", "good"))
    assert world.project() == ["laundry"]
    assert set(projected(world)) == {"about-a", "about-b"}
    assert offsets(world) == {"0": 4}


def test_many_records_are_projected_in_batches(
    world: World, about: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH_RECORDS", 7)
    world.say(*(about(f"s{number}", "good") for number in range(23)))
    world.project()
    assert len(projected(world)) == 23
    assert offsets(world) == {"0": 23}


def test_a_projector_that_dies_between_batches_goes_on_where_it_was(
    world: World, about: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH_RECORDS", 5)
    world.say(*(about(f"s{number}", "good") for number in range(12)))
    seen = 0

    def dying(raw: Any) -> FeedbackRecord:
        nonlocal seen
        seen += 1
        if seen > 7:
            raise KeyboardInterrupt
        return record_of(raw)

    with pytest.raises(KeyboardInterrupt):
        project(world.raw_log, world.unit, dying)
    assert offsets(world) == {"0": 5}
    assert world.project() == ["laundry"]
    assert len(projected(world)) == 12


def test_a_projector_that_another_overtook_steps_back(world: World, about: About) -> None:
    world.say(about("a", "good"), about("b", "good"))

    def overtaken(raw: Any) -> FeedbackRecord:
        world.project()
        return record_of(raw)

    assert project(world.raw_log, world.unit, overtaken) == []
    assert offsets(world) == {"0": 2}
    assert len(projected(world)) == 2


def test_offsets_move_only_from_where_they_are_expected(world: World) -> None:
    with world.unit() as unit:
        unit.feedback.advance("0", expected=0, to=5)
        unit.commit()
    for expected in (0, 4, 6):
        with pytest.raises(Stale), world.unit() as unit:
            unit.feedback.advance("0", expected=expected, to=9)
    assert offsets(world) == {"0": 5}


def test_a_missing_record_stops_the_projection_by_name(world: World, about: About) -> None:
    world.say(about("a", "good"), about("b", "good"))

    class Holed:
        def end(self) -> dict[str, int]:
            return {"0": 3}

        def read(self, shard: str, first: int, end: int) -> Any:
            return world.raw_log.read(shard, first, end)

    with pytest.raises(RawLogGap, match="no record at offset 2, below 3"):
        project(Holed(), world.unit, record_of)


def test_subjects_with_news_come_with_their_whole_history(world: World, about: About) -> None:
    later = {"occurred_at": world.now + timedelta(hours=1)}
    world.say(about("a", "good"), about("b", "good"), about("c", "good", model="curtains"))
    world.say(about("a", "defect", id="again", **later), shard="1")
    world.project()
    with world.unit() as unit:
        end = unit.feedback.offsets()
        touched: list[Verdict] = unit.feedback.on_touched_subjects("laundry", {"0": 3}, end)
        none: list[Verdict] = unit.feedback.on_touched_subjects("laundry", {"0": 3, "1": 1}, end)
        every: list[Verdict] = unit.feedback.on_touched_subjects("laundry", {}, end)
    assert sorted(verdict.id for verdict in touched) == ["about-a", "again"]
    assert none == []
    assert len(every) == 3
