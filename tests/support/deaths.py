"""Who dies where: for each part of the story the crash points on its way, in the order of it.

A point stands twice where two passes of it matter. All of a part die in one run, one after the
other; in the soak each also dies in a run of its own.
"""

from typing import Any, Final

import pytest

from burnish.adapters.crash import POINTS


def around(what: str) -> tuple[str, str]:
    """Return the points before and after a commit or an object, such as `commit:runs`."""
    family, _, name = what.partition(":")
    return f"{family}.before:{name}", f"{family}.after:{name}"


def _along(*names: str) -> tuple[str, ...]:
    return tuple(point for name in names for point in ((name,) if name in POINTS else around(name)))


# --- the worker, on a run that corrections start

COLLECTING: Final = _along("commit:feedback", "commit:run.started", "commit:run.collect",
                           "step.done:collect")  # fmt: skip
PREPARING: Final = _along("commit:run.prepare", "object:datasets", "commit:dataset.built",
                          "commit:runs", "step.done:prepare")  # fmt: skip
TRAINING: Final = _along("commit:run.train", "commit:job.queue", "commit.after:runs",
                         "commit:job.start", "object:jobs", "attempt.before_start",
                         "attempt.after_start", "commit:model_versions", "commit.after:runs",
                         "step.done:train")  # fmt: skip
JUDGING: Final = _along("commit:run.evaluate", "commit:holdout.looked", "object:answers",
                        "object:evaluations", "commit:evaluation.judged", "commit:run.ready",
                        "step.done:evaluate")  # fmt: skip
RELEASING: Final = _along("commit:run.release", "commit:ReleaseReady", "commit.after:runs",
                          "commit:release.promoted", "commit:run.succeed",
                          "step.done:release")  # fmt: skip
CORRECTED: Final = (COLLECTING, PREPARING, TRAINING, JUDGING, RELEASING)

# --- the worker, where something goes wrong

RETRIED: Final = _along("commit:job.retry")
REFUSED: Final = _along("commit:run.reject")
FAILED: Final = _along("commit:run.fail", "commit:release.failed")
STOPPED: Final = _along("commit:job.cancel")
ROLLED_BACK: Final = _along("commit:release.accuracy_low", "commit:release.rolled_back")

GATHERED: Final = _along("object:raw", "commit:sql_sources", "object:payloads",
                         "commit:payload_sources", "commit:payload_contents")  # fmt: skip

# --- the other roles

TAUGHT: Final = _along("object:payloads")  # control, as photos are uploaded
FOLLOWED: Final = (  # control, as a trainer reports; a short training reports its progress once
    _along("commit.before:TrainingProgress", "object:artifacts", "commit:job.succeed"),
    _along("commit.after:TrainingProgress", "commit:replicas"),
)
ASKED: Final = _along("commit:run.started")
OVERRIDDEN: Final = _along("commit:run.overridden")
CANCELLED: Final = _along("commit:run.cancel")
TAKEN_BACK: Final = _along("commit:release.rolled_back")
STARTED: Final = _along("commit:model.policy_applied", "directory.before_publish",
                        "directory.after_publish")  # fmt: skip
LOADED: Final = _along("artifact.before_keep", "artifact.after_keep", "assignment.after_remember")
ANSWERED: Final = _along("object:payloads", "commit:predictions")

# Of identities, a platform makes a run after tens of thousands; tests/ingest, after two.
IDENTIFIED: Final = _along("ingest.after_ledger", "ingest.after_run", "ingest.after_flush",
                           "ingest.after_merge", "ingest.after_merge_listed")  # fmt: skip
QUARANTINED: Final = ("ingest.after_quarantine",)  # in tests/ingest too
SHIPPED: Final = tuple(
    point
    for point in POINTS
    if point.startswith("ingest.") and point not in {*IDENTIFIED, *QUARANTINED}
)

TRIED: Final = frozenset(
    {point for part in (*CORRECTED, *FOLLOWED) for point in part}
    | {
        *RETRIED,
        *REFUSED,
        *FAILED,
        *ROLLED_BACK,
        *TAUGHT,
        *ASKED,
        *OVERRIDDEN,
        *CANCELLED,
        *STOPPED,
        *GATHERED,
    }
    | {*TAKEN_BACK, *STARTED, *LOADED, *ANSWERED, *SHIPPED, *IDENTIFIED, *QUARANTINED}
)


def ways(*parts: tuple[str, ...]) -> list[Any]:
    """Return each part as one test, and each of its points as a test of the soak."""
    together = [pytest.param(part, id=f"{part[0]}..{part[-1]}") for part in parts]
    points = dict.fromkeys(point for part in parts for point in part)
    alone = [pytest.param((point,), id=point, marks=pytest.mark.soak) for point in points]
    return together + alone
