"""The stored past, replayed: under the policy that held word by word, under another as it would be.

A machine does to a model whatever people, workers and time may do, on a real database.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from burnish.adapters.sql.payloads import Fetched, Seen, SqlPayloads
from burnish.datasets.model import Reason
from burnish.kernel.audit import Actor
from burnish.kernel.digest import digest
from burnish.kernel.policy import ModelPolicy, NearDuplicate
from burnish.pipeline.model import RunEvent
from burnish.pipeline.service import move
from burnish.releases.model import ReleaseEvent
from burnish.triggers.counting import count
from burnish.triggers.model import PAUSABLE, Ask, DecisionEntry, Hold, Tally
from burnish.triggers.replay import Step, replay
from burnish.triggers.service import UNWATCHED, consider, pause, resume
from support.ledger import NOON
from support.replays import SQL, stored, travelled
from support.replays import small_policy as policy
from support.samples import prediction, release

World = Any  # of tests/conftest.py
About = Callable[..., Any]
MINUTE = timedelta(minutes=1)
KIM = Actor(name="kim")


POLICIES = (
    policy(),
    policy(window="12:10-12:20 UTC", near_duplicate="content"),
    policy(window="12:20-12:10 UTC", window_strict=True, every="day"),
    policy(every="day", min_days=0.02, near_duplicate="perceptual"),
    policy(paused=True),
    policy(min_corrections=2, min_days=0, urgent_corrections=3, near_duplicate="content"),
)


def counted_anew(world: World) -> list[Step]:
    """Replay the past with every count made again from the stored feedback."""
    held = {one.digest: one for one in POLICIES}
    with world.view() as view:

        def tally(policy: ModelPolicy, *, since: Any, upto: Any, unknown: Any, noted: Any) -> Tally:
            found = count(view, policy, since=since, upto=upto, unknown=unknown, noted=noted)
            return found.tally

        entries = view.decisions.history("laundry", NOON)
        return list(replay(entries, lambda e: held[e.policy_digest], tally, recount=lambda _: True))


class TriggerLife(RuleBasedStateMachine):
    """What may happen to one model's triggers."""

    new_world: Callable[[], World]
    about: About

    def __init__(self) -> None:
        super().__init__()
        self.world = self.new_world()
        self.policy = POLICIES[0]
        self.number = 0
        self.predictions: list[str] = []
        self.shards: dict[int, str] = {}  # of the first copy of each record
        self.uris: list[str] = []
        self.contents: dict[str, str | None] = {}  # digest -> what it shows
        self.payloads = SqlPayloads(self.world.engine)

    @initialize(first=st.sampled_from(POLICIES))
    def begin(self, first: ModelPolicy) -> None:
        self.policy = self.world.apply(first)
        self.look(0)

    def look(self, seconds: float, ask: str | None = None, *, waits: bool = True) -> DecisionEntry:
        self.world.tick(seconds)
        now = self.world.now
        asked = ask and Ask(actor="kim", reason=ask, at=now, waits=waits)
        return consider(self.world.unit, self.world.view, self.policy, now=now, ask=asked or None)

    @rule(
        size=st.integers(1, 5),
        shard=st.sampled_from(["0", "1"]),
        final=st.sampled_from(["good", "good", "defect"]),
        actor=st.sampled_from(["kim", "lee"]),
        kind=st.sampled_from(["new", "new", "copy", "photo", "gold", "plain", "late", "uri"]),
    )
    def people_speak(self, size: int, shard: str, final: str, actor: str, kind: str) -> None:
        for _ in range(size):
            number = self.number if kind != "copy" else max(0, self.number - 2)
            self.number += kind != "copy"
            # A copy by another way may have come first: then the record's place moves, and a count
            # of the time before, made anew, would miss it. The replay keeps to what was counted.
            shard = self.shards.setdefault(number, shard)
            more: dict[str, Any] = {"id": f"id-{number}", "actor": actor}
            if kind == "photo":
                more["payload"] = self.world.photo("the same")
            elif kind == "gold":
                more["source"] = "gold"
            elif kind == "plain":
                more |= {"corrected": False, "predicted": final}
            elif kind == "late":  # its prediction is logged behind the answer
                name = f"1.01890000-0000-7000-8000-{number:012d}"
                self.predictions.append(name)
                more |= {"prediction_id": name, "payload": None}
                self.contents[digest(name.encode())] = name
            elif kind == "uri":
                self.uris.append(f"https://photos.example/{number}")
                more["payload"] = self.uris[-1]
            self.contents.setdefault(digest(f"s{number % 17}".encode()), f"s{number % 17}")
            self.world.say(self.about(f"s{number % 17}", final, **more), shard=shard)
        self.world.project()
        self.look(1)

    @precondition(lambda self: self.predictions)
    @rule()
    def predictions_are_logged(self) -> None:
        self.world.predictions.append(
            [
                prediction(1, id=name, payload_sha256=digest(name.encode()))
                for name in self.predictions
            ]
        )
        self.predictions.clear()
        self.look(5)

    @precondition(lambda self: self.uris)
    @rule(gives=st.sampled_from([None, None, "the same", "another"]))
    def a_place_answers(self, gives: str | None) -> None:
        for uri in self.uris[-3:]:
            content = digest((uri if gives == "another" else gives or "").encode())
            found = (
                Fetched(uri=uri, sha256=content)
                if gives
                else Fetched(uri=uri, reason=Reason.PAYLOAD_MISSING)
            )
            self.payloads.note([found], now=self.world.now)
            self.contents.setdefault(content, uri)
        self.look(1)

    @precondition(lambda self: self.contents)
    @rule(
        shows=st.sampled_from(["itself", "itself", "another", "nothing"]),
        closely=st.booleans(),
        many=st.integers(1, 9),
    )
    def a_worker_looks_at_photos(self, shows: str, closely: bool, many: int) -> None:
        how = NearDuplicate.PERCEPTUAL if closely else NearDuplicate.CONTENT
        seen_before = self.payloads.shown(self.contents, NearDuplicate.OFF)
        for one in self.payloads.unseen(self.contents, how)[:many]:
            if one not in seen_before and shows != "itself":
                self.contents[one] = None if shows == "nothing" else next(iter(self.contents))
            pixels = self.contents[one]
            last = self.payloads.noted().contents
            found = Seen(
                sha256=one,
                pixels=pixels,
                fingerprint=b"f" if closely else None,
                by_picture=min(self.contents) if closely and many % 2 else one,
            )
            found = found if closely else replace(found, by_picture=None)
            self.payloads.see([found], expected=last)
        self.look(1)

    @rule(size=st.integers(1, 5))
    def the_run_reads_on_in_its_sources(self, size: int) -> None:
        numbers = range(self.number, self.number + size)
        self.number += size
        self.shards.update(dict.fromkeys(numbers, SQL))
        self.world.say(*(self.about(f"s{n % 17}", id=f"id-{n}") for n in numbers), shard=SQL)
        self.world.project()
        with self.world.unit() as unit:
            run = unit.runs.active("laundry")
            if run is not None:
                ends = {**run.offsets, SQL: self.world.raw_log.end()[SQL]}
                unit.runs.save(replace(run, offsets=ends))
                unit.commit()
        self.look(1)

    @rule(looks=st.integers(1, 25), seconds=st.integers(1, 50))
    def time_passes(self, looks: int, seconds: int) -> None:
        for _ in range(looks):
            self.look(seconds)

    @rule(minutes=st.sampled_from([2, 15, 24 * 60]))
    def nobody_looks_for_a_while(self, minutes: int) -> None:
        self.look(60 * minutes)

    @rule()
    def the_run_ends(self) -> None:
        with self.world.unit() as unit:
            run = unit.runs.active("laundry")
            if run is not None:
                move(unit, run, RunEvent.CANCEL, now=self.world.tick())
                unit.commit()
        self.look(3)

    @rule(waits=st.booleans())
    def a_person_asks(self, waits: bool) -> None:
        entry = self.look(2, "because", waits=waits)
        assert entry.fire or entry.hold in {Hold.RUN, Hold.WINDOW}

    @rule(names=st.sets(st.sampled_from([one.value for one in PAUSABLE])), on=st.booleans())
    def a_person_pauses_or_resumes(self, names: set[str], on: bool) -> None:
        now = self.world.tick()
        if on:
            pause(self.world.unit(), "laundry", names, actor=KIM, reason="why", now=now)
        else:
            resume(self.world.unit(), "laundry", names, actor=KIM, reason="why")
        self.look(1)

    @rule()
    def accuracy_falls(self) -> None:
        with self.world.unit() as unit:
            serving = unit.releases.active("laundry")
            generation = serving.generation if serving else 0
            made = unit.releases.add(release())
            made = unit.releases.activate(
                "laundry", made.id, leave=ReleaseEvent.RETIRE, expected=generation
            )
            data = {"generation": made.generation, "reason": "0.700 of 50"}
            unit.outbox.publish("LiveAccuracyLow", "laundry", made.id, data)
            unit.commit()
        self.look(4)

    @rule(other=st.sampled_from(POLICIES))
    def another_policy_holds(self, other: ModelPolicy) -> None:
        self.policy = self.world.apply(other)
        self.look(1)

    @invariant()
    def one_run_is_under_way_at_most_and_one_decision_pending(self) -> None:
        with self.world.view() as view:
            under_way = [run for run in view.runs.newest("laundry") if run.ended_at is None]
            latest = view.decisions.latest("laundry")
        assert len(under_way) <= 1
        if latest is None:
            return
        assert not (latest.fire and latest.decision.pending)
        if latest.fire:
            assert [run.id for run in under_way] in ([latest.run], [])

    @invariant()
    def a_run_begins_with_the_newest_records(self) -> None:
        fired = [entry for entry in stored(self.world) if entry.fire][-1:]
        with self.world.view() as view:
            for entry in fired:
                run = view.runs.get(entry.run).offsets
                assert {**run, SQL: 0} == {**entry.offsets, SQL: 0}
                latest = view.decisions.latest("laundry")
                assert latest == entry or latest.facts.trained.offsets == run

    def teardown(self) -> None:
        entries = stored(self.world)
        again = travelled(self.world, None)
        assert (again.decisions, again.same) == (len(entries), len(entries))
        assert (again.changes, again.would) == ([], again.did)
        anew = counted_anew(self.world)
        assert [step.stored for step in anew] == entries
        assert not [step for step in anew if step.differs]
        if {entry.policy_digest for entry in entries} == {self.policy.digest}:
            assert travelled(self.world, self.policy).same == len(entries)
        for one, later in pairwise(entries):
            repeats = one.facts == later.facts and one.decision == later.decision
            assert (
                not repeats
                or one.fire
                or later.at - one.until > UNWATCHED
                or (one.policy_digest != later.policy_digest)
            )


def test_the_policy_that_held_gives_back_the_stored_decisions_word_by_word(
    new_world: Callable[[], World], about: About
) -> None:
    TriggerLife.new_world = staticmethod(new_world)
    TriggerLife.about = staticmethod(about)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        TriggerLife, settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )
