"""What the use cases on evaluations need."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from burnish.datasets.looks import LookUnit
from burnish.evaluation.model import Evaluation, Performance
from burnish.kernel.ids import DatasetId, RunId

Decode = Callable[[bytes], NDArray[np.uint8]]  # photo bytes -> RGB [224, 224, 3]


class Labelled(Struct, frozen=True, kw_only=True):
    """One example to be judged: what it is, and where its input is kept."""

    subject: str
    label: str
    payload_sha256: str


class Trial(Protocol):
    """A candidate in a process of its own: loading already, to be measured when all is quiet."""

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process, if it has not ended."""
        ...

    def measure(self, *, crowd: bool) -> Performance:
        """Let it answer, and return what that took; a candidate that cannot is a `failure`.

        Only with `crowd` is it asked by several at a time, which is what throughput is.
        """
        ...


class Sandbox(Protocol):
    """Where a candidate may do no harm."""

    def open(self, artifact: bytes, photos: NDArray[np.uint8]) -> Trial:
        """Start to load an artifact, which will be asked about these photos [n, 224, 224, 3]."""
        ...


class EvaluationStore(Protocol):
    """Evaluation reports, immutable."""

    def add(self, evaluation: Evaluation) -> Evaluation:
        """Store a report; one of the same run already there is returned instead."""
        ...

    def get(self, id_: str) -> Evaluation:
        """Return a report. Raises NotFound."""
        ...

    def of_run(self, run: RunId) -> Evaluation | None:
        """Return the report on what a run has trained, if there is one."""
        ...


class HeldOut(Struct, frozen=True, kw_only=True):
    """What a candidate is judged on."""

    dataset: DatasetId
    epoch: int
    examples: list[Labelled]


class EvaluationUnit(LookUnit, Protocol):
    """One transaction over evaluations."""

    @property
    def evaluations(self) -> EvaluationStore:
        """The reports."""
        ...
