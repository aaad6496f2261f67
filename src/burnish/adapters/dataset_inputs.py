"""Datasets and outputs as attempts see them: by presigned URL, without a key to the store."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import msgspec

from burnish.datasets.model import Split
from burnish.datasets.service import DatasetService
from burnish.evaluation.ports import HeldOut, Labelled
from burnish.kernel.ids import DatasetId
from burnish.kernel.objects import Objects, payload_key
from burnish.kernel.policy import ModelPolicy
from burnish.training.model import Job

ARTIFACT: Final = "model.onnx"


class DatasetInputs:
    """Implements `pipeline.ports.Datasets`."""

    def __init__(
        self,
        service: DatasetService,
        objects: Objects,
        policy_of: Callable[[str], ModelPolicy],
        *,
        lifetime: timedelta,
    ) -> None:
        """Take what builds datasets, and how long an attempt's URLs hold."""
        self._service = service
        self._objects = objects
        self._policy_of = policy_of
        self._lifetime = lifetime

    def build(self, model: str, offsets: Mapping[str, int], policy_digest: str) -> str:
        """Return the id of the dataset version of these offsets, built if it is not there yet."""
        del model  # the policy names it
        return self._service.build(self._policy_of(policy_digest), dict(offsets)).id

    def holdout(self, dataset: str) -> HeldOut:
        """Return the examples that no model of this epoch trains on."""
        version = self._service.get(DatasetId(dataset))
        examples = [
            Labelled(subject=row.subject, label=row.label, payload_sha256=row.payload_sha256)
            for row in self._service.rows(version)
            if row.split is Split.HOLDOUT
        ]
        return HeldOut(dataset=version.id, epoch=version.epoch, examples=examples)

    def publish_inputs(self, dataset: str, job: Job) -> str:
        """Return a URL under which this attempt finds its examples; the holdout never travels."""
        key = f"jobs/{job.id}/{job.attempt}/inputs.ndjson"
        if not self._objects.exists(key):
            version = self._service.get(DatasetId(dataset))
            lines = [
                msgspec.json.encode(
                    {
                        "subject": row.subject,
                        "label": row.label,
                        "split": row.split,
                        "payload_sha256": row.payload_sha256,
                        "payload_url": self._objects.presign(
                            payload_key(row.payload_sha256), "GET", self._lifetime
                        ),
                    }
                )
                for row in self._service.rows(version)
                if row.split is not Split.HOLDOUT
            ]
            self._objects.put(key, b"\n".join(lines) + b"\n")
        return self._objects.presign(key, "GET", self._lifetime)


class ArtifactOutputs:
    """Implements `pipeline.ports.Outputs`."""

    def __init__(self, objects: Objects, *, lifetime: timedelta) -> None:
        """Take the store, and how long an attempt's URLs hold."""
        self._objects = objects
        self._lifetime = lifetime

    def key(self, job: Job) -> str:
        """Return the key of the attempt's artifact."""
        return f"artifacts/{job.id}/{job.attempt}/{ARTIFACT}"

    def url(self, job: Job) -> str:
        """Return a URL to which this attempt may put it, once."""
        return self._objects.presign(self.key(job), "PUT", self._lifetime)
