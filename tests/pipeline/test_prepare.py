"""A run takes in what its other sources hold when it begins, and its offsets say so for good."""

from collections.abc import Callable, Mapping

import pytest

from burnish.kernel.errors import Unavailable
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import Run
from burnish.pipeline.saga import Progress
from burnish.pipeline.steps.prepare import Prepare
from support.ledger import Ledger
from support.samples import policy, run


class NoDatasets:
    """Stands where datasets are built: a run that collects builds none."""

    build = holdout = publish_inputs = None


@pytest.fixture
def begun(ledger: Ledger) -> Run:
    applied = ledger.apply(policy())
    made = run(policy_digest=applied.digest, offsets={"0": 120})
    with ledger.unit() as unit:
        unit.runs.add(made)
        unit.commit()
    return made


def prepare(ledger: Ledger, collect: Callable[[ModelPolicy], Mapping[str, int]]) -> Prepare:
    return Prepare(units=ledger.unit, datasets=NoDatasets(), collect=collect)  # type: ignore[arg-type]


def stored(ledger: Ledger, run_: Run) -> Run:
    with ledger.view() as view:
        return view.runs.get(run_.id)


def test_the_offsets_of_a_run_reach_up_to_what_its_sources_gave(ledger: Ledger, begun: Run) -> None:
    asked: list[str] = []

    def collect(policy_: ModelPolicy) -> Mapping[str, int]:
        asked.append(policy_.digest)
        return {"sql.laundry.tasks": 70}

    assert prepare(ledger, collect).collect(begun) is Progress.DONE
    found = stored(ledger, begun)
    assert found.offsets == {"0": 120, "sql.laundry.tasks": 70}
    assert asked == [begun.policy_digest]
    # Done again after a crash, it changes nothing that is so already.
    prepare(ledger, collect).collect(begun)
    assert stored(ledger, begun) == found


def test_a_source_that_fails_leaves_the_run_as_it_is(ledger: Ledger, begun: Run) -> None:
    def collect(_: ModelPolicy) -> Mapping[str, int]:
        raise Unavailable("Source 'tasks' of laundry could not be read.")

    with pytest.raises(Unavailable, match="tasks"):
        prepare(ledger, collect).collect(begun)
    assert stored(ledger, begun) == begun
