"""Contracts of `datasets.ports.DatasetStore` and `triggers.ports.DecisionStore`."""

from collections.abc import Callable

import pytest

from burnish.adapters.sql.unit import SqlUnit
from burnish.datasets.contents import Noted
from burnish.datasets.model import DatasetNotFound
from burnish.kernel.digest import digest
from burnish.kernel.errors import Stale
from burnish.kernel.ids import DatasetId, RunId
from burnish.triggers.model import (
    Alert,
    Ask,
    Decision,
    DecisionEntry,
    Facts,
    Hold,
    Pause,
    Rule,
    Tally,
    Trained,
)
from support.concurrency import at_once
from support.databases import saved
from support.samples import dataset, later, policy

Units = Callable[..., SqlUnit]


def test_a_version_is_found_as_it_was_added(unit: Units) -> None:
    one, two, other = dataset(1), dataset(2), dataset(1, "other", created_at=later(9))
    with saved(unit()) as stores:
        for version in (one, two, other):
            stores.datasets.add(version)
    with unit(reads_only=True) as stores:
        assert stores.datasets.get(two.id) == stores.datasets.newest("laundry") == two
        assert stores.datasets.list("laundry") == [two, one]
        assert stores.datasets.list() == [other, two, one]
        assert stores.datasets.newest("none") is None
        assert stores.datasets.with_digest("laundry", one.digest) == one
        assert stores.datasets.with_digest("other", one.digest) is None
        assert stores.datasets.built("laundry", two.offsets, two.policy_digest) == two
        assert stores.datasets.built("laundry", {"0": 7}, two.policy_digest) is None
        assert stores.datasets.built("laundry", two.offsets, digest(b"other")) is None
        with pytest.raises(DatasetNotFound):
            stores.datasets.get(DatasetId("laundry@9"))


@pytest.mark.parametrize("late", [dataset(1), dataset(3), dataset(2, parent=None)])
def test_a_version_follows_the_newest_one_or_is_stale(unit: Units, late: object) -> None:
    with saved(unit()) as stores:
        stores.datasets.add(dataset(1))
    with unit() as stores, pytest.raises(Stale):
        stores.datasets.add(late)  # type: ignore[arg-type]


@pytest.mark.parametrize("known", [True, False])
def test_of_versions_added_at_once_exactly_one_follows(unit: Units, *, known: bool) -> None:
    with saved(unit()) as stores:
        stores.datasets.add(dataset(1))
        if known:  # a model that is no row cannot be held; the table itself refuses then
            stores.models.add(policy())

    def add(number: int) -> str:
        built = dataset(2, digest=digest(b"%d" % number))
        with saved(unit()) as stores:
            stores.datasets.add(built)
        return built.digest

    added, errors = at_once(add)
    assert len(added) == 1
    assert {type(error) for error in errors} == {Stale}
    with unit() as stores:
        assert [version.number for version in stores.datasets.list("laundry")] == [2, 1]


FACTS = Facts(
    tally=Tally(effective=3, confirmed=4, left_out={"near_duplicate": 9}),
    trained=Trained(at=later(-5), offsets={"0": 17}),
    run="run-0",
    pauses=(Pause(trigger=Rule.URGENT, actor="kim", reason="import", at=later(-2)),),
    alert=Alert(release="release-1", generation=3, reason="0.700 of 50 are right"),
    answered="release-0:2",
    ask=Ask(actor="lee", reason="now", at=later(-1)),
    unknown=("3.1",),
)


def test_decisions_are_listed_newest_first_each_as_it_was_added(unit: Units) -> None:
    def decide(number: int, *, fire: bool) -> DecisionEntry:
        rule = Rule.CORRECTIONS if fire else Rule.WAIT
        decision = Decision(rule=rule, hold=None, reason=f"{number} of 100", corrections=number)
        with saved(unit()) as stores:
            return stores.decisions.add(
                policy(),
                decision,
                FACTS,
                at=later(number),
                offsets={"0": number},
                noted=Noted(uris=number, contents=7),
                run=RunId("run-1") if fire else None,
            )

    first, fired, last = decide(1, fire=False), decide(2, fire=True), decide(3, fire=False)
    with unit(reads_only=True) as stores:
        assert stores.decisions.list("laundry") == [last, fired, first]
        assert stores.decisions.list("laundry", limit=1) == [last]
        assert stores.decisions.latest("laundry") == last
        assert stores.decisions.last_fired("laundry") == fired
        assert stores.decisions.latest("other") is stores.decisions.last_fired("other") is None
    assert (fired.model, fired.run, fired.offsets) == ("laundry", "run-1", {"0": 2})
    assert fired.policy_digest == policy().digest
    assert fired.facts == FACTS
    assert fired.noted == Noted(uris=2, contents=7)


def test_a_decision_that_still_holds_is_extended_and_found_by_the_time_that_it_held(
    unit: Units,
) -> None:
    waits = Decision(rule=Rule.CORRECTIONS, hold=Hold.RUN, reason="100 of 100", corrections=100)
    with saved(unit()) as stores:
        made = [
            stores.decisions.add(
                policy(), waits, FACTS, at=later(hour), offsets={"0": hour}, noted=Noted(), run=None
            )
            for hour in range(3)
        ]
        longer = stores.decisions.extend(
            made[0], until=later(0.5), offsets={"0": 1, "1": 7}, noted=Noted(contents=3)
        )
    with unit(reads_only=True) as stores:
        assert stores.decisions.history("laundry", later(0.4)) == [longer, *made[1:]]
        assert stores.decisions.history("laundry", later(0.6)) == made[1:]
    assert (longer.at, longer.until, longer.offsets) == (later(0), later(0.5), {"0": 1, "1": 7})
    assert (longer.decision, longer.noted) == (waits, Noted(contents=3))


def test_pauses_are_kept_by_model_and_trigger(unit: Units) -> None:
    def pause(trigger: Rule, reason: str) -> Pause:
        return Pause(trigger=trigger, actor="kim", reason=reason, at=later(1))

    with saved(unit()) as stores:
        for reason in ("import", "holiday"):  # the newer reason counts
            stores.pauses.put("laundry", pause(Rule.URGENT, reason))
        stores.pauses.put("laundry", pause(Rule.DAILY, "import"))
        stores.pauses.put("face", pause(Rule.DAILY, "import"))
        stores.pauses.remove("face", Rule.URGENT)
    with saved(unit()) as stores:
        assert stores.pauses.of("laundry") == (
            pause(Rule.DAILY, "import"),
            pause(Rule.URGENT, "holiday"),
        )
        stores.pauses.remove("face", Rule.DAILY)
        assert stores.pauses.of("face") == ()
