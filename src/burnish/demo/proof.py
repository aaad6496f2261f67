"""The proof: what was accepted is kept once, and what was finished was not done again.

It is drawn by eyes of its own: from the files of the raw log, line by line, from what the workers
wrote in their log as they worked, and from the tables as they stand in the end.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct

from burnish.demo.result import Proof

RecordKey = tuple[str, str]  # source, id
StepKey = tuple[str, str]  # run, step

BEGUN: Final = "step begun"  # what a worker's log says before it acts
DONE: Final = "step done"  # and once the end is in the database
SHOWN: Final = 3  # examples in a sentence

Note = tuple[str, str, str]  # one line of a worker's log: BEGUN or DONE, run, step


class Footprints(Struct, frozen=True, kw_only=True):
    """What a stopped platform left behind."""

    lines: Sequence[RecordKey]  # of the raw log's objects, each as often as it is there
    notes: Sequence[Note]  # of the workers' log, in order
    done: Collection[StepKey]  # steps that the database says are done
    events: Counter[str]  # by type
    rows: dict[str, int]  # by type of event: how many things there are that it tells of once each
    attempts: dict[str, int]  # of each training job


def prove(accepted: Sequence[RecordKey], left: Footprints) -> Proof:
    """Compare what the story was told with what is left behind."""
    log_faults, in_log = _raw_log(accepted, left.lines), Counter(left.lines)
    repeated = repeats(left.notes)
    unseen = sorted(set(left.done) - {(run, step) for what, run, step in left.notes})
    return Proof(
        accepted=len(set(accepted)),
        in_raw_log=len(left.lines),
        missing=len(set(accepted) - in_log.keys()),
        duplicates=len(left.lines) - len(in_log),
        steps=len(left.done),
        steps_repeated=len(repeated),
        faults=[
            *log_faults,
            *_said(repeated, "finished steps ran again"),
            *_said(unseen, "steps are done that no worker said it had begun"),
            *_effects(left),
        ],
    )


def repeats(notes: Iterable[Note]) -> list[StepKey]:
    """Return the steps that began again, or ended again, after they were done.

    >>> repeats([(BEGUN, "r", "train"), (BEGUN, "r", "train"), (DONE, "r", "train")])
    []
    """
    done: set[StepKey] = set()
    found: dict[StepKey, None] = {}
    for what, run, step in notes:
        if (run, step) in done:
            found[run, step] = None
        if what == DONE:
            done.add((run, step))
    return list(found)


def _raw_log(accepted: Iterable[RecordKey], lines: Sequence[RecordKey]) -> list[str]:
    expected, found = set(accepted), Counter(lines)
    return [
        *_said(sorted(expected - found.keys()), "accepted records are not in the raw log"),
        *_said(sorted(found.keys() - expected), "records of the raw log were never accepted"),
        *_said(
            sorted(key for key, count in found.items() if count > 1),
            "records are in the raw log more than once",
        ),
    ]


def _effects(left: Footprints) -> list[str]:
    """Say which things came about, or were told of, more or less than once."""
    uneven = [
        f"There are {left.events[type_]} events {type_} for {count} things that happened."
        for type_, count in left.rows.items()
        if left.events[type_] != count
    ]
    lost = sorted((job, str(count)) for job, count in left.attempts.items() if count > 1)
    return [*uneven, *_said(lost, "training jobs lost an attempt")]


def _said(things: Sequence[tuple[str, str]], what: str) -> list[str]:
    if not things:
        return []
    examples = ", ".join(" ".join(thing) for thing in things[:SHOWN])
    return [f"{len(things)} {what}: {examples}{', …' if len(things) > SHOWN else ''}."]
