"""Collect and prepare: from raw-log offsets to an immutable dataset version."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import Run
from burnish.pipeline.ports import Datasets, PipelineUnit
from burnish.pipeline.saga import Progress


class Prepare:
    """Makes the dataset version that a run trains on."""

    def __init__(
        self,
        *,
        units: Callable[[], PipelineUnit],
        datasets: Datasets,
        collect: Callable[[ModelPolicy], Mapping[str, int]],
    ) -> None:
        """Take what builds datasets, and what reads a policy's other sources to their ends.

        `collect` returns the shards that these became, each with the first offset beyond it.
        """
        self._units = units
        self._datasets = datasets
        self._collect = collect

    def collect(self, run: Run) -> Progress:
        """Bring every source into the raw log, and the run's offsets up to what they gave.

        What came through the front is durable up to the run's offsets already.
        """
        unit = self._units()
        with unit:
            policy = unit.models.policy(run.policy_digest)
        ends = self._collect(policy)
        if ends:
            with unit:
                current = unit.runs.get(run.id)
                offsets = {**current.offsets, **ends}
                if current.offsets != offsets:
                    unit.runs.save(replace(current, offsets=offsets))
                    unit.commit()
        return Progress.DONE

    def prepare(self, run: Run) -> Progress:
        """Build the version, or find the one that the same inputs have made before."""
        dataset = self._datasets.build(run.model, run.offsets, run.policy_digest)
        unit = self._units()
        with unit:
            current = unit.runs.get(run.id)
            if current.dataset != dataset:
                unit.runs.save(replace(current, dataset=dataset))
                unit.commit()
        return Progress.DONE
