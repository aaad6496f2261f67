"""Named points at which a test may kill this process, as a power cut would: without warning.

`BURNISH_CRASH_AT=NAME` kills it by SIGKILL the first time that it passes the point, `NAME#3` the
third time. Every moment between two effects that outlive the process has a point:

- `commit.before:X`, `commit.after:X`: around a transaction. X is the audit action that it leaves;
  without one the event that it publishes; without that the table that it changes. After it,
  the process does not know yet that it is committed.
- `object.before:X`, `object.after:X`: around the moment in which an object in the folder X appears.
- `step.done:X`: the step X of a run is done, and the durable engine has not noted it.
- `ingest.X` and the others: named where they stand.
"""

import os
import signal
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import count
from typing import Final

COMMITS: Final[Mapping[str, str]] = {
    "model.policy_applied": "a policy is imported, or applied by an operator",
    "feedback": "a batch of verdicts is projected, with the offset after it",
    "sql_sources": "a page of an SQL source is listed, with the watermark behind it",
    "payload_sources": "what a batch of URIs gave is noted; the bytes are stored",
    "payload_contents": "what a batch of inputs shows is noted",
    "run.started": "a trigger, or an operator, starts a run; the engine is told",
    "run.collect": "the run enters its first step",
    "run.prepare": "the run begins to build its dataset",
    "dataset.built": "the version becomes visible; its files are stored",
    "runs": "the run notes what a step made: its dataset, its job, its candidate, its release",
    "run.train": "the run begins to train",
    "job.queue": "the job is submitted",
    "job.start": "an attempt begins; nothing runs yet",
    "TrainingProgress": "a heartbeat is noted; the trainer has no answer",
    "job.succeed": "a trainer's last word is noted, the run woken; the trainer has no answer",
    "job.retry": "a lost attempt is given up; the job is queued again",
    "model_versions": "what was trained is registered as a version",
    "run.evaluate": "the run begins to judge",
    "holdout.looked": "a look at the holdout is counted; nothing has been judged",
    "evaluation.judged": "the report's row is written; the report is stored",
    "run.ready": "the gates said yes; the second half is handed to the engine",
    "run.reject": "the gates said no",
    "run.release": "the run begins to release",
    "ReleaseReady": "the release exists; replicas will load it",
    "release.promoted": "the pointer moves to the candidate",
    "run.succeed": "every replica follows; the run ends",
    "run.cancel": "an operator ends the run; its job is not cancelled yet",
    "job.cancel": "the job is cancelled; its process is not stopped yet",
    "run.overridden": "an operator sends a refused candidate to release, by a new run",
    "run.fail": "a step failed; what the run has begun is not undone yet",
    "release.failed": "a release that no replica could load is given up",
    "release.accuracy_low": "people are told that live accuracy is low",
    "release.rolled_back": "the pointer moves back",
    "replicas": "a replica's report is noted",
    "predictions": "a batch of answers is logged; their inputs are stored",
}
OBJECTS: Final[Mapping[str, str]] = {
    "raw": "a range of the raw log that is not listed yet",
    "payloads": "an input: uploaded to control, captured by serve, or fetched",
    "datasets": "a file of a dataset version that has no row yet",
    "jobs": "what an attempt is to read",
    "artifacts": "what an attempt has trained, put to its presigned URL",
    "answers": "what a model said of the holdout",
    "evaluations": "a report that has no row yet",
}
STEPS: Final = ("collect", "prepare", "train", "evaluate", "release")

POINTS: Final[Mapping[str, str]] = {
    "ingest.before_write": "a group is taken, nothing of it is on disk",
    "ingest.after_write": "it is written, not synced",
    "ingest.after_sync": "it is synced, nobody has an answer",
    "ingest.after_rotate": "a new segment exists, empty",
    "ingest.after_quarantine": "rejections are synced locally, nobody has an answer",
    "ingest.after_seal": "the sealed file is synced locally",
    "ingest.after_upload": "the object is stored, not listed",
    "ingest.after_commit": "it is listed, the spool does not know",
    "ingest.after_persisted": "the spool knows, nothing is deleted",
    "ingest.after_delete": "everything is done",
    "ingest.after_ledger": "identities are in the ledger, in no run",
    "ingest.after_run": "their run is written, not listed",
    "ingest.after_flush": "it is listed",
    "ingest.after_merge": "runs are merged, the merged one is not listed",
    "ingest.after_merge_listed": "it is listed, the old ones are not deleted",
    "attempt.before_start": "its folder is there and locked, nothing runs",
    "attempt.after_start": "its process runs, and nobody knows that it does",
    "artifact.before_keep": "a replica has fetched an artifact, not kept it",
    "artifact.after_keep": "it lies on the replica's disk, not loaded",
    "assignment.after_remember": "a replica has noted on disk what it serves",
    "directory.before_publish": "what the front may know is read, not published",
    "directory.after_publish": "it is published, nobody is told",
    **{f"commit.before:{what}": f"uncommitted: {that}" for what, that in COMMITS.items()},
    **{f"commit.after:{what}": that for what, that in COMMITS.items()},
    **{f"object.before:{what}": f"synced, not named: {that}" for what, that in OBJECTS.items()},
    **{f"object.after:{what}": that for what, that in OBJECTS.items()},
    **{f"step.done:{step}": f"{step} is done; the engine has not noted it" for step in STEPS},
}


def _asked() -> tuple[str, int]:
    """Return the point to die at and at which pass, as the environment asks; "" for none."""
    name, _, nth = os.environ.get("BURNISH_CRASH_AT", "").partition("#")
    if name and name not in POINTS:
        near = " or ".join(get_close_matches(name, POINTS)) or "see docs/crash-points.md"
        raise ValueError(f"BURNISH_CRASH_AT is {name!r}, which is no crash point: {near}?")
    return name, int(nth or 1)


_AT, _NTH = _asked()
_passes = count(1)


def expected(family: str) -> bool:
    """Tell whether this process is to die at a point whose name begins so."""
    return bool(_AT) and _AT.startswith(family)


def crash_point(name: str) -> None:
    """Kill this process if `BURNISH_CRASH_AT` names this point, and this pass of it."""
    if _AT and name == _AT and next(_passes) == _NTH:
        os.kill(os.getpid(), signal.SIGKILL)
