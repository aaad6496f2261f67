"""Values of every room, complete and harmless; a test changes what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from burnish.adapters.system import new_id
from burnish.datasets.model import Dataset
from burnish.evaluation.model import Evaluation, Holdout, Verdict
from burnish.feedback import verdict
from burnish.feedback.model import RawObject
from burnish.feedback.prediction import Prediction
from burnish.kernel.digest import digest
from burnish.kernel.ids import DatasetId, JobId, ReleaseId, RunId
from burnish.kernel.policy import ModelPolicy, policy_of
from burnish.pipeline.model import Cause, Run, RunState
from burnish.releases.model import ModelVersion, Release, ReleaseState
from burnish.releases.ports import Replica
from burnish.training.model import Job, JobState

NOON = datetime(2026, 5, 1, 12, 0, 0, 250, tzinfo=UTC)


def later(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def policy(name: str = "laundry", **sections: Any) -> ModelPolicy:
    labels = ["good", "defect"]
    raw = {"name": name, "kind": "image-classification", "labels": labels}
    return policy_of(raw | sections)


def run(model: str = "laundry", **changes: Any) -> Run:
    fields = {
        "id": RunId(new_id()),
        "model": model,
        "state": RunState.WAITING,
        "revision": 1,
        "cause": Cause(rule="corrections", reason="100 of 100 corrections", corrections=100),
        "offsets": {"0": 120},
        "policy_digest": digest(b"policy"),
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "created_at": NOON,
    }
    return Run(**(fields | changes))


def job(run_: str | None = None, **changes: Any) -> Job:
    fields = {
        "id": JobId(new_id()),
        "run": run_,
        "model": "laundry",
        "dataset": "laundry@1",
        "trainer": "image-classifier",
        "hyperparameters": {"labels": ["good", "defect"], "seed": 0},
        "state": JobState.QUEUED,
        "attempt": 0,
        "max_attempts": 3,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "queued_at": NOON,
    }
    return Job(**(fields | changes))


def dataset(number: int = 1, model: str = "laundry", **changes: Any) -> Dataset:
    fields = {
        "id": DatasetId(f"{model}@{number}"),
        "model": model,
        "number": number,
        "digest": digest(f"{model}@{number}".encode()),
        "policy_digest": digest(b"policy"),
        "parent": DatasetId(f"{model}@{number - 1}") if number > 1 else None,
        "offsets": {"0": 100 * number},
        "counts": {"train": {"good": 60, "defect": 40}},
        "corrections": 50,
        "left_out": {"duplicate": 3},
        "manifest": digest(b"manifest"),
        "created_at": later(number),
    }
    return Dataset(**(fields | changes))


def release(model: str = "laundry", **changes: Any) -> Release:
    fields = {
        "id": ReleaseId(new_id()),
        "model": model,
        "model_version": "1.0.0",
        "state": ReleaseState.READY,
        "generation": None,
        "run": RunId(new_id()),
        "previous": None,
        "created_at": NOON,
    }
    return Release(**(fields | changes))


def version(number: str = "1.0.0", **changes: Any) -> ModelVersion:
    fields = {
        "model": "laundry",
        "version": number,
        "artifact_key": f"artifacts/{number}",
        "artifact_sha256": digest(number.encode()),
        "artifact_bytes": 5 << 32,
        "labels": ("good", "defect"),
        "dataset": "laundry@1",
        "run": RunId(new_id()),
        "predecessor": None,
        "metrics": {"accuracy": 0.97, "n": 120},
        "trained_at": NOON,
    }
    return ModelVersion(**(fields | changes))


def evaluation(run_: str, **changes: Any) -> Evaluation:
    fields = {
        "id": new_id(),
        "run": RunId(run_),
        "model": "laundry",
        "candidate": "1.1.0",
        "champion": "1.0.0",
        "verdict": Verdict.PASS,
        "gates": (),
        "holdout": Holdout(n=300, accuracy=0.95, low=0.92, high=0.97, champion_accuracy=0.9),
        "paired": None,
        "confusion": {"good": {"good": 150, "defect": 7}},
        "newly_right": ("s1", "s2"),
        "newly_wrong": (),
        "created_at": NOON,
    }
    return Evaluation(**(fields | changes))


def replica(id_: str = "replica-0", **changes: Any) -> Replica:
    models = {"laundry": {"serving": {"release": "r1", "generation": 1}, "loaded": ["r1"]}}
    fields = {"id": id_, "url": "http://127.0.0.1:8402", "models": models, "seen_at": NOON}
    return Replica(**(fields | changes))


def said(number: int, shard: str = "0", **changes: Any) -> verdict.Verdict:
    """Return the verdict of line `number` of a shard, on a subject of its own."""
    fields = {
        "source": "app",
        "id": f"{number}",
        "shard": shard,
        "offset": number,
        "model": "laundry",
        "subject_id": f"s{number}",
        "final": "good",
        "corrected": True,
        "occurred_at": later(number),
        "received_at": later(number),
        "predicted": "defect",
        "actor": "kim",
    }
    return verdict.Verdict(**(fields | changes))


def prediction(number: int, **changes: Any) -> Prediction:
    fields = {
        "id": f"3.{number}",
        "model": "laundry",
        "release": "r1",
        "generation": 3,
        "model_version": "1.2.0",
        "label": "good",
        "confidence": 0.875,
        "at": NOON,
        "payload_sha256": f"sha256:{number:064x}",
    }
    return Prediction(**(fields | changes))


def raw_object(first: int, last: int, shard: str = "0", **changes: Any) -> RawObject:
    key = f"raw/{shard}/{first}-{last}"
    fields = {
        "shard": shard,
        "first_offset": first,
        "last_offset": last,
        "key": key,
        "sha256": digest(key.encode()),
        "records": last - first + 1,
        "bytes": 5 << 32,
    }
    return RawObject(**(fields | changes))
