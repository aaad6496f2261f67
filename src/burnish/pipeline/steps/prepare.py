"""Collect and prepare: from raw-log offsets to an immutable dataset version."""

from collections.abc import Callable

from msgspec.structs import replace

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
        collect: Callable[[], object],
    ) -> None:
        self._units = units
        self._datasets = datasets
        self._collect = collect

    def collect(self, _run: Run) -> Progress:
        """Bring every source up to the run's offsets; the raw log is durable up to them already."""
        self._collect()
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
