"""The saga as data: its steps in order, what each may undo, and the one loop that drives them.

A step looks at what the database says and moves it on; it may be called again at any time, after
any crash, and then finds what it did before. So a checkpoint saves work, never correctness.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from burnish.kernel.ids import RunId
from burnish.pipeline.model import RunEvent, RunState


class Progress(StrEnum):
    """What a step says when it returns."""

    DONE = "done"  # go on with the next
    WAIT = "wait"  # call again when something has changed
    STOP = "stop"  # the run has ended, or holds


class Step(Struct, frozen=True, kw_only=True):
    """One step of the saga."""

    name: str
    event: RunEvent  # what its beginning is to the run
    state: RunState  # where the run is meanwhile
    patience_s: float = 60  # between two looks, if nobody wakes it before
    undo: str | None = None  # what takes its effect back when a later step, or it, fails


class Half(Struct, frozen=True, kw_only=True):
    """A part of the saga that runs through by itself: it begins from what the database says."""

    name: str
    steps: tuple[Step, ...]


TRAINING_HALF: Final = Half(
    name="train",
    steps=(
        Step(name="collect", event=RunEvent.COLLECT, state=RunState.COLLECTING),
        Step(name="prepare", event=RunEvent.PREPARE, state=RunState.PREPARING),
        Step(name="train", event=RunEvent.TRAIN, state=RunState.TRAINING, undo="stop_training"),
        Step(name="evaluate", event=RunEvent.EVALUATE, state=RunState.EVALUATING),
    ),
)
RELEASE_HALF: Final = Half(
    name="release",
    steps=(
        Step(
            name="release",
            event=RunEvent.RELEASE,
            state=RunState.RELEASING,
            patience_s=0.1,
            undo="abandon_release",
        ),
    ),
)
HALVES: Final = {half.name: half for half in (TRAINING_HALF, RELEASE_HALF)}


class Durable(Protocol):
    """What a durable engine gives to a saga."""

    def checkpoint(self, name: str, work: Callable[[], Progress]) -> Progress:
        """Do the work and remember its answer; after a crash, answer without doing it again."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until somebody wakes the run, at most so long."""
        ...


class Performer(Protocol):
    """What does the steps."""

    def perform(self, step: Step, run: RunId) -> Progress:
        """Do, or look at, one step. Its failure is recorded, its effects undone: then STOP."""
        ...


def drive(half: Half, run: RunId, durable: Durable, performer: Performer) -> None:
    """Take a run through one half of the saga, or as far as it gets."""
    for step in half.steps:
        while True:
            answer = durable.checkpoint(step.name, partial(performer.perform, step, run))
            if answer is Progress.STOP:
                return
            if answer is Progress.DONE:
                break
            durable.wait(step.patience_s)
