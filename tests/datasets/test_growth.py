"""Growth comes to what assembly comes to: in one build or in many, whatever happened."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from burnish.datasets import compaction
from burnish.datasets.accounting import Totals
from burnish.datasets.assembly import Assembled, assemble
from burnish.datasets.blanking import without
from burnish.datasets.columns import Asked
from burnish.datasets.compaction import cut, falls, merged
from burnish.datasets.contents import NOTHING_KNOWN, Contents
from burnish.datasets.digests import RowForm, digest_of, element, reduced, rows_digest, summed
from burnish.datasets.growth import Before, grow
from burnish.datasets.layers import History, Layer
from burnish.datasets.looking import World
from burnish.datasets.model import DatasetError, Reason, Row, Split
from burnish.datasets.reading import Read, SerialReader
from burnish.datasets.sides import ledger_of
from burnish.datasets.splits import Ledger
from burnish.datasets.versions import fates_of, rows_of
from burnish.feedback.erasure import Identity
from burnish.feedback.parse import record_of
from burnish.feedback.service import interpret
from burnish.feedback.verdict import Offsets
from burnish.kernel.digest import canonical, digest
from burnish.kernel.policy import ModelPolicy
from support.history import Log, arrive, predictions, records
from support.samples import policy as laundry

SEEDS = st.integers(min_value=0, max_value=2**32)
MISSING = digest(b"never stored")
ELSEWHERE = "https://elsewhere/1.jpg"  # as drawn histories name it


def policy(**dataset: object) -> ModelPolicy:
    return laundry(
        dataset={"holdout": 30, "validation": 0.2, "actor_share": 1.0, "reviewers": ["lee"]}
        | dataset
    )


@pytest.fixture(autouse=True)
def _small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "LARGEST", 150)


@dataclass
class Versions:
    """Builds versions by growth, layer on layer, and keeps what each hands on."""

    log: Log
    policy: ModelPolicy
    world: World
    layers: list[Layer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rest = Ledger(holdout_source=self.policy.dataset.holdout_source)
        self.before = Before(totals=Totals.none(self.policy.labels))

    @property
    def history(self) -> History:
        return History(self.policy.name, self.layers)

    @property
    def totals(self) -> Totals:
        return self.before.totals

    @property
    def digest(self) -> str:
        return digest_of(self.totals.sum, self.totals.rows, self.policy.digest)

    def read(self, offsets: Offsets) -> Read:
        asked = Asked(
            model=self.policy.name,
            labels=self.policy.labels,
            validation=self.policy.dataset.validation,
            epoch=self.rest.epoch,
            exam=self.policy.dataset.holdout_source,
        )
        read = SerialReader(self.log, record_of).read(asked, self.before.offsets, offsets)
        return Read.from_bytes(memoryview(b"".join(read.to_parts())))

    def grow(
        self,
        offsets: Offsets,
        *,
        erased: Collection[Identity] = (),
        replaced: Collection[str] = (),
        worn: bool = False,
    ) -> None:
        grown = grow(
            self.history,
            without(self.read(offsets), erased),
            self.policy,
            ledger=self.rest,
            world=self.world,
            before=dataclasses.replace(self.before, replaced=replaced),
            worn=worn,
        )
        layers = [*self.layers, grown.layer]
        count = falls(layers)
        layers = [*layers[:-count], *cut(merged(layers[-count:]))]
        self.layers = [Layer.from_bytes(memoryview(b"".join(layer.to_parts()))) for layer in layers]
        self.rest = grown.rest
        self.before = Before(
            totals=grown.totals,
            offsets=offsets,
            open=grown.open.tolist(),
            standings=grown.standings,
        )


def reference(
    log: Log,
    policy: ModelPolicy,
    parent: Ledger,
    world: World,
    offsets: Offsets,
    *,
    erased: Collection[Identity] = (),
    spent: bool = False,
    contents: Contents = NOTHING_KNOWN,
) -> Assembled:
    verdicts, unreadable = [], []
    for shard, end in offsets.items():
        said, broken = interpret(record_of, shard, log.read(shard, 0, end))
        verdicts += [verdict for verdict in said if verdict.model == policy.name]
        unreadable += [(shard, raw) for raw in broken]
    named = {verdict.prediction_id for verdict in verdicts if verdict.prediction_id is not None}
    return assemble(
        verdicts,
        policy,
        parent,
        predictions=world.predictions(named),
        gone={MISSING} & set(world.missing({MISSING})),
        unreadable=unreadable,
        erased=erased,
        spent=spent,
        contents=contents,
    )


def same(versions: Versions, built: Assembled) -> None:
    history = versions.history
    assert rows_of(history) == built.rows
    assert list(fates_of(history)) == built.fates
    assert ledger_of(history, versions.rest) == built.ledger
    assert versions.digest == built.digest
    assert versions.totals.effective == sum(fate.effective for fate in built.fates)


@given(seed=SEEDS, source=st.sampled_from(["", "gold"]), shards=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_one_build_of_everything_is_what_assembly_makes_of_it(
    seed: int, source: str, shards: int
) -> None:
    random, log = Random(seed), Log()
    arrive(
        log, records(random, 400, subjects=random.choice([60, 400, 4000])), random, shards=shards
    )
    known = predictions(50)
    world = World(
        lambda ids: {one: known[one] for one in ids if one in known},
        lambda ids: {MISSING} & set(ids),
    )
    rules = policy(holdout_source=source)
    versions = Versions(log, rules, world)
    try:
        built = reference(log, rules, Ledger(holdout_source=source), world, log.end())
    except DatasetError as error:
        with pytest.raises(type(error), match=str(error)[:20]):
            versions.grow(log.end())
        return
    versions.grow(log.end())
    same(versions, built)


@given(seed=SEEDS, source=st.sampled_from(["", "", "gold"]), shards=st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_a_chain_of_builds_comes_to_what_assembly_makes_with_the_ledgers_before_it(
    seed: int, source: str, shards: int
) -> None:
    random, log = Random(seed), Log()
    known = predictions(30)
    stored = set()
    world = World(
        lambda ids: {one: known[one] for one in ids if one in known},
        lambda ids: ({MISSING} & set(ids)) - stored,
    )
    rules = policy(holdout_source=source)
    versions, ledger = Versions(log, rules, world), Ledger(holdout_source=source)
    subjects, first = random.choice([80, 400, 2000]), 0
    for number in range(6):
        count = 300 if number == 0 else random.choice([1, 10, 40, 150])
        arrive(log, records(random, count, subjects=subjects, first=first), random, shards=shards)
        first += count
        if number == 3:  # what was logged late is found
            known.update(predictions(60))
        if number == 4:
            stored.add(MISSING)
        try:
            built = reference(log, rules, ledger, world, log.end())
        except DatasetError:
            return
        versions.grow(log.end())
        same(versions, built)
        ledger = built.ledger


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0)


CROWDS = (  # who speaks: a lone one, two, a few of whom one speaks most, and many
    ("kim",),
    ("kim", "lee"),
    ("kim", "kim", "kim", "lee", "ann", None),
    tuple(f"person-{number}" for number in range(12)),
)


@given(seed=SEEDS, source=st.sampled_from(["", "", "gold"]), share=st.sampled_from([0.1, 0.3, 0.5]))
@settings(max_examples=40, deadline=None)
def test_a_chain_of_builds_caps_shares_as_one_build_does_wherever_the_cap_begins_or_ends(
    seed: int, source: str, share: float
) -> None:
    random, log = Random(seed), Log()
    known = predictions(60)
    world = World(lambda ids: {one: known[one] for one in ids}, lambda ids: {MISSING} & set(ids))
    rules = policy(holdout_source=source, actor_share=share)
    versions, ledger, first = Versions(log, rules, world), Ledger(holdout_source=source), 0
    subjects = random.choice([400, 2000])
    for number in range(7):
        count = 300 if number == 0 else random.choice([1, 10, 40, 150])
        drawn = records(random, count, subjects=subjects, first=first, people=random.choice(CROWDS))
        if seed % 2:  # much happens at once
            drawn = [structs.replace(one, occurred_at=_hour(one.occurred_at)) for one in drawn]
        arrive(log, drawn, random, shards=2)
        first += count
        try:
            built = reference(log, rules, ledger, world, log.end())
        except DatasetError:
            if number:
                return
            continue  # nobody has been capped yet: go on with more
        versions.grow(log.end())
        same(versions, built)
        ledger = built.ledger


@given(seed=SEEDS, source=st.sampled_from(["", "gold"]), share=st.sampled_from([0.3, 1.0]))
@settings(max_examples=15, deadline=None)
def test_what_was_erased_is_in_no_build_and_the_next_ones_grow_without_it(
    seed: int, source: str, share: float
) -> None:
    random, log = Random(seed), Log()
    known = predictions(60)
    world = World(lambda ids: {one: known[one] for one in ids}, lambda ids: {MISSING} & set(ids))
    rules, ledger = policy(holdout_source=source, actor_share=share), Ledger(holdout_source=source)
    people = CROWDS[-1]
    drawn = records(random, 400, subjects=500, people=people)
    erased: set[Identity] = set()
    versions = Versions(log, rules, world)
    arrive(log, drawn[:200], random, shards=2)
    for stop in (250, 300, 350, 400):
        new = {one.identity for one in random.sample(drawn, random.choice([0, 3]))}
        if not new <= erased:
            erased |= new
            ledger = ledger_of(versions.history, versions.rest)
            versions = Versions(log, rules, world)
            versions.rest = ledger
        arrive(log, drawn[stop - 50 : stop] + random.sample(drawn[:stop], 5), random, shards=2)
        try:
            built = reference(log, rules, ledger, world, log.end(), erased=erased)
        except DatasetError:
            return
        versions.grow(log.end(), erased=erased)
        same(versions, built)
        ledger = built.ledger


class Photos:
    """What is found out about photos: more and more."""

    def __init__(self) -> None:
        self.fetched: dict[str, str | Reason] = {}
        self.shown: dict[str, str | Reason] = {}

    @property
    def known(self) -> Contents:
        return Contents(fetched=self.fetched, shown=self.shown)

    def world(self) -> World:
        given = predictions(60)
        return World(
            lambda ids: {one: given[one] for one in ids},
            lambda ids: {MISSING} & set(ids),
            lambda _, __: self.known,
            lambda ids: {one: self.shown[one] for one in ids if one in self.shown},
        )

    def look(self, random: Random, subjects: int) -> set[str]:
        """Find out about some photos; return those that no longer stand for themselves."""
        photos = [digest(b"%d" % number) for number in range(subjects)]
        standing = set(self.shown.values())
        news: dict[str, str | Reason] = {}
        for photo in random.sample(photos, random.choice([0, 3, 20])):
            first = random.choice(photos)
            taken = standing | self.shown.keys() | news.keys()
            if photo not in taken and first not in self.shown and first not in news:
                news[photo] = first if random.random() < 0.7 else Reason.PAYLOAD_UNREADABLE
                standing.add(first)
        self.shown |= news
        if self.fetched.get(ELSEWHERE) != photos[3]:  # what gave bytes once stands for those
            self.fetched[ELSEWHERE] = random.choice([Reason.PAYLOAD_MISSING, photos[3]])
        return set(news)


@given(seed=SEEDS, source=st.sampled_from(["", "gold"]), share=st.sampled_from([0.3, 1.0]))
@settings(max_examples=25, deadline=None)
def test_photos_that_stand_for_others_or_show_nothing_are_found_whenever_that_is_noted(
    seed: int, source: str, share: float
) -> None:
    random, log, photos = Random(seed), Log(), Photos()
    rules, ledger = policy(holdout_source=source, actor_share=share), Ledger(holdout_source=source)
    versions, subjects, first = Versions(log, rules, photos.world()), random.choice([150, 500]), 0
    for count in (300, 20, 100, 0, 50, 10):
        drawn = records(random, count, subjects=subjects, first=first, people=CROWDS[-1])
        arrive(log, drawn, random, shards=2)
        first += count
        replaced = photos.look(random, subjects)
        try:
            built = reference(log, rules, ledger, versions.world, log.end(), contents=photos.known)
        except DatasetError:
            return
        versions.grow(log.end(), replaced=replaced)
        same(versions, built)
        ledger = built.ledger


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_newcomers_are_kept_for_the_next_holdout_while_the_present_one_is_worn(seed: int) -> None:
    random, log = Random(seed), Log()
    known = predictions(60)
    world = World(lambda ids: {one: known[one] for one in ids}, lambda ids: {MISSING} & set(ids))
    rules = policy(actor_share=0.3)
    arrive(log, records(random, 400, subjects=400, people=CROWDS[-1]), random, shards=2)
    parent = reference(log, rules, Ledger(), world, log.end()).ledger
    newcomers = records(random, 40, subjects=3000, first=400, people=CROWDS[-1])
    arrive(log, newcomers, random, shards=2)
    built = reference(log, rules, parent, world, log.end(), spent=True)
    versions = Versions(log, rules, world)
    worn = built.ledger.epoch == parent.epoch
    versions.rest = parent if worn else parent.rotated()
    versions.grow(log.end(), worn=worn)
    same(versions, built)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_a_build_of_other_offsets_keeps_to_the_ledger_it_is_given(seed: int) -> None:
    random, log = Random(seed), Log()
    arrive(log, records(random, 300, subjects=200), random, shards=2)
    known = predictions(60)
    world = World(lambda ids: {one: known[one] for one in ids}, lambda ids: {MISSING} & set(ids))
    first = Versions(log, policy(), world)
    first.grow(log.end())
    ledger = ledger_of(first.history, first.rest)
    for share in (0.7, 0.9, 1.0):
        fewer = {shard: int(share * end) for shard, end in log.end().items()}
        again = Versions(log, policy(validation=0.3), world)
        again.rest = ledger
        again.grow(fewer)
        built = reference(log, policy(validation=0.3), ledger, world, fewer)
        same(again, built)
        again.grow(log.end())
        same(again, reference(log, policy(validation=0.3), built.ledger, world, log.end()))


def test_the_digest_is_of_the_set_of_rows_whatever_their_order() -> None:
    rows = [
        Row(subject=f"s{n}", label="good", payload_sha256=digest(b"%d" % n), split=Split.TRAIN)
        for n in range(5)
    ]
    one = rows_digest(rows, digest(b"policy"))
    assert one == rows_digest(rows[::-1], digest(b"policy"))
    assert len({one, rows_digest(rows[1:], digest(b"policy")), rows_digest(rows, digest(b""))}) == 3


@given(
    subject=st.text(max_size=9),
    label=st.one_of(st.text(max_size=9), st.sampled_from(['"subject":""', "sha256:", '""'])),
    split=st.sampled_from(Split),
    content=st.binary(min_size=32, max_size=32),
)
def test_rows_add_what_they_are_however_fast_that_was_told(
    subject: str, label: str, split: Split, content: bytes
) -> None:
    row = Row(subject=subject, label=label, payload_sha256=f"sha256:{content.hex()}", split=split)
    text = RowForm(label, split).text(canonical(subject), content.hex())
    assert text == canonical(row)
    assert summed([text] * 3) == reduced(3 * element(row))
