"""Makes any script a trainer: read the job, report while it runs, hand over the model.

    from burnish.client.trainer import Job

    with Job.from_environment() as job:
        photos = [(job.fetch(row), row.label) for row in job.rows() if row.split == "train"]
        for epoch in range(job.epochs):
            loss = ...
            job.progress((epoch + 1) / job.epochs, epoch=epoch, metrics={"loss": loss})
        job.upload(model_bytes)
        job.done(metrics={"accuracy": ...})

A thread sends heartbeats; an exception that leaves the block ends the job as failed. Without the
environment of a job (on a developer's desk) the same script runs with no rows, and says nothing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from burnish.client.callbacks import Callbacks, JobStopped
from burnish.client.http import ApiProblem, Http, Retry, Unreachable

__all__ = ["DataUnavailable", "Job", "JobStopped", "Row", "failure_code"]

_SOCKET_TIMEOUT: Final = 10.0  # seconds
_EVENT_PATIENCE: Final = Retry(deadline=60.0)
_DONE_PATIENCE: Final = Retry(deadline=300.0)  # the whole work would be lost with it
_DATA_PATIENCE: Final = Retry(deadline=120.0)


class DataUnavailable(Exception):
    """Rows, a payload or the upload were refused, or are not what their digest says."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Row(NamedTuple):
    """One example of the dataset; the URL is good for a while only."""

    subject: str
    label: str
    split: str  # "train" or "validation"
    payload_sha256: str  # "sha256:<hex>"
    payload_url: str


class Job:
    """One attempt of a training job. Use it in a `with`, which keeps the heartbeat going.

    Once the control plane has refused a callback, every method raises JobStopped, so that a
    training loop that reports its progress ends by itself.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.id = environment.get("JOB_ID", "")
        self.model = environment.get("MODEL_NAME", "")
        self.dataset = environment.get("DATASET_ID", "")
        self.trace_id = environment.get("TRACE_ID", "")
        self.cache_dir = environment.get("BURNISH_CACHE_DIR") or None
        self.epochs = int(environment.get("EPOCHS") or 1)
        self.hyperparameters: dict[str, Any] = json.loads(
            environment.get("HYPERPARAMETERS") or "{}"
        )
        self._dataset_url = environment.get("DATASET_URL", "")
        self._output_url = environment.get("OUTPUT_URL", "")
        base_url = environment.get("BACKEND_BASE_URL", "").rstrip("/")
        self._http = Http(timeout=_SOCKET_TIMEOUT)
        self._callbacks = Callbacks(
            self._http,
            f"{base_url}/v1/jobs/{self.id}" if self.id and base_url else "",
            token=environment.get("CALLBACK_TOKEN", ""),
            traceparent=environment.get("TRACEPARENT", ""),
        )
        self._artifacts: list[dict[str, Any]] = []
        self._finished = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the job from the environment of the process. Raises ValueError if it is garbled."""
        return cls(os.environ if environment is None else environment)

    def __enter__(self) -> Self:
        self._callbacks.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._finished and not self._callbacks.stopped:
                if error is None:
                    self.done()
                else:
                    self.fail(failure_code(error), str(error) or type(error).__name__)
        finally:
            self._callbacks.end()
            self._http.close()

    def rows(self) -> list[Row]:
        """Return the examples to train and to validate on. Raises DataUnavailable."""
        if not self._dataset_url:
            return []
        body = self._transfer(
            "GET", self._dataset_url, "dataset_unreadable", f"dataset {self.dataset}"
        )
        try:
            records = [json.loads(line) for line in body.splitlines() if line.strip()]
            return [Row(*(str(record[field]) for field in Row._fields)) for record in records]
        except (ValueError, KeyError, TypeError) as error:
            raise DataUnavailable(
                f"Dataset {self.dataset} holds a row that is not as agreed: {error!r}",
                code="dataset_unreadable",
            ) from error

    def fetch(self, row: Row) -> bytes:
        """Return the payload of a row, checked against its digest; safe in any thread.

        Raises DataUnavailable, which names the payload.
        """
        name = f"payload {row.payload_sha256} of subject {row.subject!r}"
        data = self._transfer("GET", row.payload_url, "payload_unreachable", name)
        found = _address(data)
        if found != row.payload_sha256:
            raise DataUnavailable(f"The {name} holds {found}.", code="payload_corrupt")
        return data

    def progress(
        self,
        fraction: float,
        *,
        epoch: int | None = None,
        metrics: Mapping[str, float] | None = None,
        message: str = "",
    ) -> None:
        """State how far the work is (0 to 1); the next heartbeat tells. Costs nothing to call."""
        self._callbacks.check()
        self._callbacks.note(
            {
                "progress": min(1.0, max(0.0, fraction)),
                "epoch": epoch,
                "metrics": dict(metrics or {}),
                "message": message,
            }
        )

    def event(self, kind: str, **detail: Any) -> None:
        """Report what happened, such as `epoch_end`. Raises OSError after a minute of silence."""
        self._callbacks.check()
        self._callbacks.send("event", {"kind": kind, "detail": detail}, _EVENT_PATIENCE)

    def upload(self, artifact: bytes, name: str = "model.onnx") -> None:
        """Store the trained model where the job says. Raises DataUnavailable."""
        self._callbacks.check()
        sha256 = _address(artifact)
        if self._output_url:
            self._transfer("PUT", self._output_url, "upload_refused", f"upload of {name}", artifact)
        self._artifacts.append({"name": name, "sha256": sha256, "bytes": len(artifact)})

    def done(
        self,
        *,
        metrics: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        run_ids: Mapping[str, str] | None = None,
    ) -> None:
        """End the job as succeeded with what was uploaded. Raises OSError after 5 minutes."""
        self._finish("succeeded", None, metrics or {}, details or {}, run_ids or {})

    def fail(self, code: str, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        """End the job as failed, with a stable code. Raises OSError after 5 minutes."""
        self._finish("failed", {"code": code, "message": message}, {}, details or {}, {})

    def _finish(
        self,
        outcome: str,
        failure: Mapping[str, str] | None,
        metrics: Mapping[str, Any],
        details: Mapping[str, Any],
        run_ids: Mapping[str, str],
    ) -> None:
        self._callbacks.end()
        self._callbacks.check()
        self._finished = True
        body = {
            "outcome": outcome,
            "failure": failure,
            "artifacts": self._artifacts if failure is None else [],
            "metrics": metrics,
            "details": details,
            "run_ids": run_ids,
        }
        self._callbacks.send("done", body, _DONE_PATIENCE)

    def _transfer(
        self, method: str, url: str, code: str, name: str, body: bytes | None = None
    ) -> bytes:
        """Get or put data at a presigned URL. Raises DataUnavailable, with the code given."""
        self._callbacks.check()
        headers = {} if body is None else {"Content-Type": "application/octet-stream"}
        try:
            return self._http.request(method, url, body, headers, retry=_DATA_PATIENCE).body
        except ApiProblem as problem:
            said = f"was answered {problem.status} {problem.code}"
            raise DataUnavailable(f"The {name} {said}.", code=code) from problem
        except Unreachable as error:
            raise DataUnavailable(f"The {name} cannot be reached: {error}", code=code) from error


def failure_code(error: BaseException) -> str:
    """Return the stable code of a failure: the error's own `code`, or one by its kind.

    >>> failure_code(MemoryError())
    'out_of_memory'
    """
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return "trainer_crashed" if isinstance(error, Exception) else "interrupted"


def _address(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
