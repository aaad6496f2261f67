"""Train: a job, its attempts, and the model version that comes of it."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from burnish.kernel.audit import SYSTEM
from burnish.kernel.clock import Clock
from burnish.kernel.digest import digest
from burnish.kernel.errors import BurnishError, IllegalTransition
from burnish.kernel.ids import Ids, JobId
from burnish.kernel.objects import Objects
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import Run
from burnish.pipeline.ports import Datasets, Outputs, PipelineUnit, Tokens
from burnish.pipeline.saga import Progress
from burnish.releases import service as releases
from burnish.training import service as training
from burnish.training.model import TRANSITIONS as JOB_TRANSITIONS
from burnish.training.model import Job, JobState
from burnish.training.ports import Launcher


class TrainingFailed(BurnishError):
    """No attempt is left; a person must look."""

    code = "training.failed"


class Train:
    """Trains one candidate per run."""

    def __init__(
        self,
        *,
        units: Callable[[], PipelineUnit],
        datasets: Datasets,
        outputs: Outputs,
        objects: Objects,
        launcher: Launcher,
        tokens: Tokens,
        control_url: str,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._units = units
        self._datasets = datasets
        self._outputs = outputs
        self._objects = objects
        self._launcher = launcher
        self._tokens = tokens
        self._control_url = control_url
        self._clock = clock
        self._ids = ids

    def train(self, run: Run) -> Progress:
        """Look at the job and move it on: submit, attempt, wait, register what came of it."""
        job = self._job(run)
        if job.state is JobState.QUEUED:
            job = training.start_attempt(self._units(), job.id, now=self._clock())
        if job.state is JobState.RUNNING:
            self._launcher.launch(job, self._environment(job))
            return Progress.WAIT
        if job.state is JobState.SUCCEEDED:
            self._register(run, job)
            return Progress.DONE
        reason = job.failure.message if job.failure else f"the job is {job.state}"
        raise TrainingFailed(
            f"Training failed after {job.attempt} of {job.max_attempts} attempts: {reason}",
            job=job.id,
        )

    def stop(self, run: Run, reason: str) -> None:
        """Undo: end the job, if there is one that has not ended."""
        unit = self._units()
        with unit:
            job = unit.jobs.of_run(run.id)
        if job is not None and JOB_TRANSITIONS[job.state]:
            with suppress(IllegalTransition):  # it has ended by itself meanwhile
                training.cancel(unit, job.id, actor=SYSTEM, reason=reason, now=self._clock())

    def _job(self, run: Run) -> Job:
        unit = self._units()
        with unit:
            found = unit.jobs.of_run(run.id)
            policy = unit.models.policy(run.policy_digest)
        job = found or training.submit(
            unit,
            id_=JobId(self._ids()),
            run=run.id,
            model=run.model,
            dataset=str(run.dataset),
            trainer=policy.train.trainer,
            hyperparameters=_hyperparameters(policy),
            max_retries=policy.train.max_retries,
            trace_id=run.trace_id,
            now=self._clock(),
        )
        if run.job != job.id:
            with unit:
                unit.runs.save(replace(unit.runs.get(run.id), job=job.id))
                unit.commit()
        return job

    def _environment(self, job: Job) -> dict[str, str]:
        return {
            "JOB_ID": job.id,
            "TRACE_ID": job.trace_id,
            "TRACEPARENT": f"00-{job.trace_id}-{job.trace_id[:16]}-01",
            "BACKEND_BASE_URL": self._control_url,
            "CALLBACK_TOKEN": self._tokens(job),
            "MODEL_NAME": job.model,
            "DATASET_ID": job.dataset,
            "DATASET_URL": self._datasets.publish_inputs(job.dataset, job),
            "OUTPUT_URL": self._outputs.url(job),
            "EPOCHS": str(job.hyperparameters.get("epochs", 1)),
            "HYPERPARAMETERS": json.dumps(job.hyperparameters, sort_keys=True),
        }

    def _register(self, run: Run, job: Job) -> None:
        key = self._outputs.key(job)
        data = self._objects.get(key)
        said = job.artifacts[0].sha256 if job.artifacts else None
        if said != digest(data):
            raise TrainingFailed(
                f"The artifact at {key} is {digest(data)}, but the trainer said {said}.", job=job.id
            )
        unit = self._units()
        with unit:
            policy = unit.models.policy(run.policy_digest)
        version = releases.register(
            unit,
            run=run.id,
            model=run.model,
            dataset=job.dataset,
            artifact={"key": key, "sha256": digest(data), "bytes": len(data)},
            metrics=job.metrics,
            labels=policy.labels,
            now=self._clock(),
        )
        with unit:
            unit.runs.save(replace(unit.runs.get(run.id), candidate=version.version))
            unit.commit()


def _hyperparameters(policy: ModelPolicy) -> dict[str, Any]:
    return {"labels": list(policy.labels), "path": policy.train.path, "seed": 0}
