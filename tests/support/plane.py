"""The control plane as bootstrap wires it, on a scratch data directory, asked over HTTP."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from burnish import config
from burnish.adapters.system import new_id, utc_now
from burnish.bootstrap.control import application
from burnish.bootstrap.house import House
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import JobId, ReleaseId, RunId
from burnish.pipeline import service as runs
from burnish.pipeline.model import Run, RunEvent
from burnish.releases import service as releases
from burnish.releases.model import Release
from burnish.training import service as training
from burnish.training.model import Job
from support.ledger import start_run

POLICY = 'name = "laundry"\nkind = "image-classification"\nlabels = ["good", "defect"]\n'
LIFE = (RunEvent.COLLECT, RunEvent.PREPARE, RunEvent.TRAIN, RunEvent.EVALUATE, RunEvent.READY)


class Plane:
    """A control plane, and the moves that other roles would make."""

    def __init__(self, data: Path, environ: Mapping[str, str] | None = None) -> None:
        self.draining = False
        self.house = House.open(config.load(data, environ=environ or {}), "control")
        app = application(self.house, lambda: self.draining)
        self.client = TestClient(app, raise_server_exceptions=False)
        self.admin = {"Authorization": f"Bearer {self.house.secrets.admin_token}"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = self.admin | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)

    def apply(self, policy: str = POLICY, **headers: str) -> httpx.Response:
        sent = {"Content-Type": "application/toml"} | headers
        return self.ask("PUT", "/v1/models/laundry", content=policy, headers=sent)

    def run(self) -> Run:
        return start_run(self.house.unit(), now=utc_now())

    def awaiting(self) -> Run:
        """Bring a run to where a person must approve."""
        run = self.run()
        unit = self.house.unit()
        with unit:
            for event in (*LIFE, RunEvent.AWAIT_APPROVAL):
                run = runs.move(unit, run, event, now=utc_now())
            unit.commit()
        return run

    def job(self) -> tuple[Job, dict[str, str]]:
        """Start an attempt; return its job and the headers that its trainer sends."""
        unit, run = self.house.unit(), RunId(new_id())
        with unit:
            unit.starter.begin("train", run)
            unit.commit()
        job = training.submit(
            unit,
            id_=JobId(new_id()),
            run=run,
            model="laundry",
            dataset="laundry@1",
            trainer="image-classifier",
            hyperparameters={},
            max_retries=1,
            trace_id="0" * 32,
            now=utc_now(),
        )
        job = training.start_attempt(unit, job.id, now=utc_now())
        return job, {"Authorization": f"Bearer {self.token(job)}"}

    def token(self, job: Job, scope: str = "training-callback", hours: float = 1) -> str:
        """Issue a token that holds for so many hours from now, or ended so many hours ago."""
        lifetime = timedelta(hours=1)
        return self.house.tokens.issue(
            f"job:{job.id}",
            scope,
            now=utc_now() + timedelta(hours=hours) - lifetime,
            lifetime=lifetime,
            extra={"job_id": job.id, "attempt": job.attempt},
        )

    def released(self, version: str) -> Release:
        unit = self.house.unit()
        run = RunId(new_id())
        releases.register(
            unit,
            run=run,
            model="laundry",
            dataset="laundry@1",
            artifact={"key": f"artifacts/{run}", "sha256": "sha256:" + "0" * 64, "bytes": 1},
            metrics={},
            labels=("good", "defect"),
            now=utc_now(),
        )
        opened = releases.open_release(
            unit,
            id_=ReleaseId(new_id()),
            model="laundry",
            version=version,
            run=run,
            now=utc_now(),
        )
        with self.house.view() as view:
            generation = view.models.get("laundry").generation
        return releases.promote(unit, opened.id, expected=generation, actor=SYSTEM, reason="passed")


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    plane = Plane(tmp_path)
    with plane.client:
        yield plane
    plane.house.close()


@pytest.fixture
def problem() -> Callable[[httpx.Response, int, str], dict[str, Any]]:
    """Checks that an answer is a problem document with this status and code."""

    def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
        document: dict[str, Any] = answer.json()
        assert (answer.status_code, document["code"]) == (status, code), document
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["status"] == status
        assert document["detail"]
        return document

    return check
