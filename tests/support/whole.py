"""What holds of a platform whatever died: nothing lost, nothing twice, nothing half."""

from typing import Any, Final

import msgspec

from burnish.adapters.objects import LocalObjects
from burnish.adapters.system import utc_now
from burnish.datasets.digests import rows_digest
from burnish.datasets.model import Dataset
from burnish.datasets.versions import load_rows
from support.roles import Platform

ENDS: Final = frozenset({"SUCCEEDED", "FAILED", "REJECTED", "CANCELLED", "SUPERSEDED"})
ONCE: Final = {  # what is said of one thing is said once
    "action": ("run.", "job.queue", "job.succeed", "job.cancel", "dataset.", "evaluation."),
    "type": ("RunStarted", "RunFailed", "DatasetBuilt", "Training", "EvaluationCompleted",
             "ReleaseReady", "ModelDeployed", "ModelVerificationFailed", "GatesOverridden",
             "LiveAccuracyLow"),
}  # fmt: skip
MANY: Final = frozenset({"TrainingProgress", "TrainingEvent"})


def assert_whole(platform: Platform) -> None:
    """Check everything that the platform has stored since it was begun."""
    platform.until(lambda: len(platform.rows("feedback")) >= _sent(platform))
    _records_are_there_once(platform)
    _nothing_was_done_twice(platform)
    _datasets_are_complete(platform)
    _runs_are_tidy(platform)
    assert platform.is_audited()


def _sent(platform: Platform) -> int:
    return sum(len(ids) for ids in platform.sent.values())


def _records_are_there_once(platform: Platform) -> None:
    expected = sorted((model, id_) for model, ids in platform.sent.items() for id_ in ids)
    assert sorted(platform.raw()) == expected
    assert sorted((row.model, row.id) for row in platform.rows("feedback")) == expected


def _nothing_was_done_twice(platform: Platform) -> None:
    for table, column in (("audit", "action"), ("outbox", "type")):
        said = platform.doubled(table, column, "subject")
        assert [one for one in said if one[0].startswith(ONCE[column]) and one[0] not in MANY] == []
    for table in ("jobs", "model_versions", "evaluations", "releases", "decisions"):
        assert [run for (run,) in platform.doubled(table, "run") if run is not None] == [], table
    moves = [row for row in platform.rows("audit") if _moves(row.action)]
    generations = [(row.subject, row.after["generation"]) for row in moves]
    assert len(generations) == len(set(generations))


def _moves(action: str) -> bool:
    return action in {"release.promoted", "release.rolled_back"}


def _datasets_are_complete(platform: Platform) -> None:
    objects = LocalObjects(
        platform.data / "objects", base_url="http://127.0.0.1:1", secret=b"s", clock=utc_now
    )
    versions = platform.control.items("/v1/datasets")
    assert len({one["digest"] for one in versions}) == len(versions)
    for one in versions:
        dataset = msgspec.convert(one, Dataset)
        rows = load_rows(objects, dataset)
        assert rows_digest(rows, dataset.policy_digest) == dataset.digest


def _runs_are_tidy(platform: Platform) -> None:
    """A run that has ended has no step, job, attempt or release under way."""
    states = {run["id"]: run["state"] for model in platform.sent for run in platform.runs(model)}
    ended = {id_ for id_, state in states.items() if state in ENDS}

    def left_open() -> list[Any]:
        return [
            *(row for row in platform.rows("run_steps") if row.ended_at is None),
            *(row for row in platform.rows("jobs") if row.state in {"QUEUED", "RUNNING"}),
            *(row for row in platform.rows("releases", state="READY")),
        ]

    try:
        platform.until(lambda: not [row for row in left_open() if row.run in ended])
    except AssertionError:
        raise AssertionError([row for row in left_open() if row.run in ended]) from None
