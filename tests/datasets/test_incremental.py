"""A version reads what is new since its parent and no more, whatever the policy says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from burnish.adapters.sql.payloads import Fetched, Seen, SqlPayloads
from burnish.datasets.columns import Asked
from burnish.datasets.digests import rows_digest
from burnish.datasets.looks import Look
from burnish.datasets.model import Dataset, Reason
from burnish.datasets.reading import Read, SerialReader
from burnish.datasets.rotation import rotate
from burnish.feedback.erasure import Erasure, Tombstone
from burnish.feedback.model import FeedbackRecord
from burnish.feedback.parse import record_of
from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.digest import digest
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy, PayloadPolicy
from support.ledger import NOON
from support.samples import policy as laundry

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py


def policy(**dataset: object) -> ModelPolicy:
    return laundry(dataset={"holdout": 10, "validation": 0.2, "actor_share": 0.3} | dataset)


class CountingReader(SerialReader):
    """Reads as ever, and notes how many lines that were."""

    lines: int = 0

    def read(self, asked: Asked, since: Offsets, until: Offsets) -> Read:
        read = super().read(asked, since, until)
        self.lines += len(read.lines)
        return read


class Line:
    """Versions of one model, one after the other, and how much of the log each build read."""

    def __init__(self, world: World, about: About, rules: ModelPolicy) -> None:
        self.world, self.rules, self._about = world, rules, about
        self.reader = CountingReader(world.raw_log, record_of)
        self.service = replace(world.service, reader=self.reader)

    def say(self, numbers: range, **changes: Any) -> None:
        self.world.say(*(self._record(number, {"source": "app"} | changes) for number in numbers))

    def _record(self, number: int, said: dict[str, Any]) -> FeedbackRecord:
        fields: dict[str, Any] = {
            "final": "good" if number % 2 else "defect",
            "payload": self.world.photo(f"photo-{number}"),
            "id": f"{said['source']}-{number}",
            "occurred_at": NOON + timedelta(seconds=number),
        }
        return self._about(f"subject-{number}", **(fields | said))

    def crowd_says(self, numbers: range, *, people: int) -> None:
        for person in range(people):
            self.say(range(numbers.start + person, numbers.stop, people), actor=f"person-{person}")

    def build(self) -> tuple[Dataset, int]:
        """Return the next version, and how many lines its build read."""
        self.reader.lines = 0
        built = self.service.build(self.rules, self.world.raw_log.end())
        read = self.reader.lines
        assert rows_digest(list(self.service.rows(built)), self.rules.digest) == built.digest
        assert self.service.rebuilt(self.rules, built) == built.digest
        return built, read

    def erase(self, number: int) -> None:
        erasure = Erasure(
            id=f"case-{number}",
            at=self.world.clock(),
            actor="kim",
            reason="asked",
            records=1,
            datasets=(),
            models=(),
        )
        placed = Tombstone(
            source="app",
            id=f"app-{number}",
            erasure=erasure.id,
            model="laundry",
            payload_sha256=None,
            at=self.world.clock(),
        )
        with self.world.unit() as unit:
            unit.tombstones.add(erasure, [placed])
            unit.commit()

    def look(self, run: str, dataset: Dataset) -> None:
        with self.world.unit() as unit:
            unit.looks.add(
                Look(
                    run=RunId(run),
                    model="laundry",
                    epoch=dataset.epoch,
                    dataset=dataset.id,
                    candidate="1.0.0",
                    at=self.world.clock(),
                )
            )
            unit.commit()

    def rotate(self) -> None:
        self.world.apply(self.rules)
        who, now = Actor(name="kim"), self.world.clock()
        rotate(self.world.unit(), "laundry", actor=who, reason="new camera", now=now)


@pytest.fixture
def line(world: World, about: About) -> Callable[..., Line]:
    return lambda **rules: Line(world, about, policy(**rules))


def test_under_a_share_that_caps_nobody_and_then_somebody(line: Callable[..., Line]) -> None:
    mine = line()
    mine.crowd_says(range(80), people=8)
    _, read = mine.build()
    assert read == 80
    mine.crowd_says(range(80, 90), people=5)
    uncapped, read = mine.build()
    assert (read, uncapped.left_out) == (10, {})
    mine.say(range(100, 160))
    capped, read = mine.build()
    assert read == 60
    assert capped.left_out[Reason.ACTOR_SHARE] > 0
    mine.crowd_says(range(200, 300), people=10)
    less, read = mine.build()
    assert read == 100
    assert less.left_out.get(Reason.ACTOR_SHARE, 0) < capped.left_out[Reason.ACTOR_SHARE]


def test_with_an_exam_of_a_source_of_its_own(line: Callable[..., Line]) -> None:
    mine = line(holdout_source="exam")
    mine.crowd_says(range(80), people=8)
    mine.say(range(80, 100), source="exam")
    first, _ = mine.build()
    assert sum(first.counts["holdout"].values()) == 20
    mine.say(range(100, 110), source="exam")
    mine.say(range(95, 97), actor="person-3")
    second, read = mine.build()
    assert read == 12
    assert sum(second.counts["holdout"].values()) == 30
    assert second.left_out == {"held_out": 2}


def test_after_an_erasure_one_build_reads_all_and_the_next_ones_do_not(
    line: Callable[..., Line],
) -> None:
    mine = line()
    mine.crowd_says(range(80), people=8)
    mine.build()
    mine.erase(7)
    without_it, read = mine.build()
    assert (read, without_it.left_out) == (80, {"erased": 1})
    mine.crowd_says(range(80, 90), people=5)
    mine.say(range(7, 8))  # a copy that was late
    later, read = mine.build()
    assert (read, later.left_out) == (11, {"erased": 2})


@pytest.mark.parametrize("by_hand", [False, True])
def test_while_a_holdout_is_worn_builds_read_all_and_then_they_do_not(
    line: Callable[..., Line], *, by_hand: bool
) -> None:
    mine = line(look_budget=1)
    mine.crowd_says(range(80), people=8)
    first, _ = mine.build()
    if by_hand:
        mine.rotate()
    else:
        mine.look("run-1", first)
    mine.crowd_says(range(80, 85), people=5)
    assert mine.build()[0] == first  # all five are kept for the next holdout
    mine.say(range(3, 4), actor="person-3", source="web", final="defect")
    worn, _ = mine.build()
    assert (worn.epoch, worn.left_out) == (1, {"reserved": 5, "superseded": 1})
    mine.crowd_says(range(85, 120), people=7)
    fresh, _ = mine.build()
    assert fresh.epoch == 2
    mine.crowd_says(range(120, 130), people=5)
    later, read = mine.build()
    assert (read, later.epoch) == (10, 2)


def test_with_photos_that_stand_for_others_show_nothing_or_come_late(
    world: World, about: About
) -> None:
    mine = Line(
        world, about, structs.replace(policy(), payload=PayloadPolicy(allow=("https://photos/",)))
    )
    payloads = SqlPayloads(world.engine)
    noted = 0

    def show(*looks: tuple[int, str | None]) -> None:
        nonlocal noted
        seen = [Seen(sha256=digest(b"photo-%d" % number), pixels=what) for number, what in looks]
        noted = payloads.see(seen, expected=noted)

    mine.crowd_says(range(80), people=8)
    mine.say(range(80, 81), payload="https://photos/1.jpg")
    show((1, "one"), (2, "two"), (3, "one"))
    first, _ = mine.build()
    assert first.left_out == {"near_duplicate": 1, "payload_not_stored": 1}
    mine.crowd_says(range(81, 91), people=5)
    show((82, "two"), (83, None))
    uri = "https://photos/1.jpg"
    payloads.note([Fetched(uri=uri, reason=Reason.PAYLOAD_MISSING)], now=NOON)
    second, read = mine.build()
    assert read == 10
    assert second.left_out == {
        "near_duplicate": 2,
        "payload_missing": 1,
        "payload_unreadable": 1,
    }
    show((6, "two"), (7, None), (84, "late"))
    world.photo("photo-1000")
    payloads.note([Fetched(uri=uri, sha256=digest(b"photo-1000"))], now=NOON)
    mine.say(range(91, 92))
    third, read = mine.build()
    assert read == 1
    assert third.left_out == {"near_duplicate": 3, "payload_unreadable": 2}
    subjects = {row.subject: row for row in mine.service.rows(third)}
    assert subjects["subject-80"].payload_sha256 == digest(b"photo-1000")
    assert {"subject-6", "subject-7"}.isdisjoint(subjects)
