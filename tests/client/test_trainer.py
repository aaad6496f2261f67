import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from burnish.client.trainer import DataUnavailable, Job, JobStopped
from burnish.kernel.digest import digest


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_ten_lines_make_a_trainer(control: Any) -> None:
    control.offer([(b"x", "good", "train"), (b"y", "defect", "validation")])
    with Job.from_environment(control.environment()) as job:
        photos = [(job.fetch(row), row.label) for row in job.rows() if row.split == "train"]
        for epoch in range(job.epochs):
            job.progress(1.0, epoch=epoch, metrics={"loss": 0.1})
            job.event("epoch_end", epoch=epoch)
        job.upload(b"a model")
        job.done(metrics={"accuracy": 0.9})
    assert photos == [(b"x", "good")]
    assert control.artifact == b"a model"
    (done,) = control.said("done")
    assert done["outcome"] == "succeeded"
    assert done["metrics"] == {"accuracy": 0.9}
    assert done["artifacts"] == [{"name": "model.onnx", "sha256": digest(b"a model"), "bytes": 7}]


def test_callbacks_are_numbered_authorised_and_traced(control: Any) -> None:
    with Job.from_environment(control.environment()) as job:
        for number in range(5):
            job.event("tick", number=number)
    numbers = [body["sequence"] for _, body in control.callbacks]
    assert numbers == list(range(1, len(numbers) + 1))
    assert control.callbacks[-1][0] == "done"
    for headers in control.headers:
        assert headers["Authorization"] == "Bearer the-token"
        assert headers["traceparent"] == control.environment()["TRACEPARENT"]


def test_heartbeats_go_out_while_the_script_is_busy(control: Any) -> None:
    with Job.from_environment(control.environment()) as job:
        until(lambda: control.said("heartbeat"))
        job.progress(0.5, epoch=3, metrics={"loss": 1.0}, message="half way")
        until(lambda: any(beat["progress"] == 0.5 for beat in control.said("heartbeat")))
    last = control.said("heartbeat")[-1]
    assert (last["epoch"], last["metrics"], last["message"]) == (3, {"loss": 1.0}, "half way")


def test_an_exception_ends_the_job_as_failed(control: Any) -> None:
    def crash() -> None:
        with Job.from_environment(control.environment()):
            raise MemoryError("no more")

    with pytest.raises(MemoryError):
        crash()
    (done,) = control.said("done")
    assert done["outcome"] == "failed"
    assert done["failure"] == {"code": "out_of_memory", "message": "no more"}


@pytest.mark.parametrize("status", [401, 403, 409])
def test_a_refused_heartbeat_stops_the_script_without_another_word(
    control: Any, status: int
) -> None:
    control.answers["/v1/jobs/job-1/heartbeat"] = [status]

    def train_for_ever() -> None:
        with Job.from_environment(control.environment()) as job:
            until(lambda: job.progress(0.1))

    with pytest.raises(JobStopped, match=f"answered {status} refused"):
        train_for_ever()
    assert control.callbacks == []


def test_a_restarting_control_plane_is_waited_for(control: Any) -> None:
    control.answers["/v1/jobs/job-1/"] = [503, 502, 503]
    with Job.from_environment(control.environment()) as job:
        job.event("epoch_end")
    assert [kind for kind, _ in control.callbacks][-2:] == ["event", "done"]


def test_done_refused_is_told_to_the_script(control: Any) -> None:
    control.answers["/v1/jobs/job-1/done"] = [409]
    with (
        pytest.raises(JobStopped, match="done was answered 409"),
        Job.from_environment(control.environment()) as job,
    ):
        job.done()


def test_a_payload_that_is_another_is_named(control: Any) -> None:
    control.offer([(b"x", "good", "train")])
    (path,) = (path for path in control.files if path.startswith("/payloads"))
    control.files[path] = b"z"
    with (
        pytest.raises(DataUnavailable, match=f"payload {digest(b'x')} of subject 's000'"),
        Job.from_environment(control.environment()) as job,
    ):
        job.fetch(job.rows()[0])
    assert control.said("done")[0]["failure"]["code"] == "payload_corrupt"


@pytest.mark.parametrize("body", [b"{", b'{"subject": "s"}', b"[1]", b"\xff"])
def test_a_garbled_dataset_is_said_to_be_so(control: Any, body: bytes) -> None:
    control.files["/dataset"] = body
    with (
        pytest.raises(DataUnavailable, match="laundry@1 holds a row"),
        Job.from_environment(control.environment()) as job,
    ):
        job.rows()
    assert control.said("done")[0]["failure"]["code"] == "dataset_unreadable"


def test_a_refused_upload_fails_the_job(control: Any) -> None:
    control.answers["/output"] = [403]
    with (
        pytest.raises(DataUnavailable, match="answered 403 refused"),
        Job.from_environment(control.environment()) as job,
    ):
        job.upload(b"a model")
    assert control.said("done")[0]["failure"]["code"] == "upload_refused"


def test_without_the_environment_of_a_job_the_script_runs_alone() -> None:
    with Job.from_environment({"HYPERPARAMETERS": json.dumps({"rate": 1})}) as job:
        assert job.rows() == []
        assert job.hyperparameters == {"rate": 1}
        job.progress(0.5)
        job.event("epoch_end")
        job.upload(b"a model")
        job.done()
