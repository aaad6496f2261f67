import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from burnish.adapters.onnx import OnnxEngine
from burnish.client.trainer import DataUnavailable, Job, JobStopped
from burnish.imaging import PREPROCESSING, UnreadableImage, decode
from burnish.kernel.digest import digest
from burnish.kernel.errors import BurnishError, InvalidInput
from burnish.trainers.image_classifier.facts import cpu_flags
from burnish.trainers.image_classifier.features import FeatureCache
from burnish.trainers.image_classifier.graph import ParityFailed, check_parity
from burnish.trainers.image_classifier.head import TooLittleData
from burnish.trainers.image_classifier.training import train
from burnish.trainers.lite0 import FEATURES

Example = tuple[bytes, str, str]
LABELS = ["good", "defect"]


def photo(seed: int, label: str) -> bytes:
    """Make a JPEG of a noisy cell; a defective one has a dark crack across."""
    random = np.random.default_rng(seed)
    cell = random.integers(120, 200, (260, 240, 1)).astype(np.uint8)
    if label == "defect":
        start, end = random.integers(0, 240, 2)
        cv2.line(cell, (int(start), 0), (int(end), 259), 0, 9)
    done, data = cv2.imencode(".jpg", cell)
    assert done
    return data.tobytes()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [
        (
            photo(index, LABELS[index % 2]),
            LABELS[index % 2],
            "train" if index < 24 else "validation",
        )
        for index in range(32)
    ]


@pytest.fixture
def run(control: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run one attempt in this process and return what it told at its end."""

    def attempt(**hyperparameters: Any) -> dict[str, Any]:
        wanted = {"labels": LABELS, "path": "fast", "seed": 0} | hyperparameters
        environment = control.environment(
            HYPERPARAMETERS=json.dumps(wanted), BURNISH_CACHE_DIR=str(tmp_path / "cache")
        )
        with Job.from_environment(environment) as job:
            train(job)
        told: dict[str, Any] = control.said("done")[-1]
        return told

    return attempt


def failure(control: Any) -> dict[str, str]:
    (done,) = control.said("done")
    assert done["outcome"] == "failed"
    assert done["artifacts"] == []
    assert control.artifact is None
    told: dict[str, str] = done["failure"]
    return told


def test_photos_become_a_model_that_serving_can_load(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    done = run()
    assert done["outcome"] == "succeeded"
    assert done["artifacts"] == [
        {
            "name": "model.onnx",
            "sha256": digest(control.artifact),
            "bytes": len(control.artifact),
        }
    ]
    assert done["metrics"]["n"] == 8
    assert done["metrics"]["accuracy"] == 1.0
    assert done["metrics"]["per_class"]["defect"]["recall"] == 1.0
    assert done["details"]["parity"]["difference"] < 1e-3
    assert done["details"]["features"]["computed"] == 32
    model = OnnxEngine(threads=1).load(control.artifact)
    assert model.labels == ("good", "defect")
    for data, label, split in examples:
        if split == "validation":
            (answer,) = model.predict(decode(data)[np.newaxis])
            assert model.labels[int(answer.argmax())] == label
    model.close()


def test_the_model_says_how_it_was_made(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    run(seed=7)
    model = onnx.load_model_from_string(control.artifact)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["burnish.labels"]) == LABELS
    assert facts["burnish.kind"] == "image-classification"
    assert facts["burnish.preprocessing"] == PREPROCESSING
    recipe = json.loads(facts["burnish.trainer"])
    assert (recipe["seed"], recipe["train_n"], recipe["dataset"]) == (7, 24, "laundry@1")
    assert recipe["threads"]["intra_op"] == 1
    assert set(recipe) >= {"c", "versions", "cpu_flags", "backbone_digest", "class_weight"}


def test_a_second_run_takes_its_features_from_the_cache_and_makes_the_same_bytes(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    run()
    first = control.artifact
    control.requests.clear()
    features = run()["details"]["features"]
    assert (features["cache_hits"], features["computed"]) == (32, 0)
    assert control.artifact == first
    assert sum("/payloads/" in request for request in control.requests) == 16  # parity alone


def test_progress_and_events_tell_how_it_goes(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    run()
    numbers = [body["sequence"] for _, body in control.callbacks]
    assert numbers == list(range(1, len(numbers) + 1))
    assert control.callbacks[0][0] == "heartbeat"
    assert control.said("event")[0] == {
        "sequence": control.said("event")[0]["sequence"],
        "kind": "dataset_read",
        "detail": {"rows": 32},
    }


def test_a_damaged_cache_entry_counts_as_missing(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "sha256:backbone")
    features = np.arange(FEATURES, dtype=np.float32)
    cache.put("sha256:photo", features)
    (entry,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert np.array_equal(np.asarray(cache.get("sha256:photo")), features)
    whole = entry.read_bytes()
    for damaged in (whole[:-4], b"", whole[:40] + b"\0\0\0\x41" + whole[44:], whole + b"\0"):
        entry.write_bytes(damaged)
        assert cache.get("sha256:photo") is None


def test_the_cache_tells_backbones_apart_and_may_be_absent(tmp_path: Path) -> None:
    features = np.zeros(FEATURES, np.float32)
    FeatureCache(tmp_path, "sha256:one").put("sha256:photo", features)
    assert FeatureCache(tmp_path, "sha256:other").get("sha256:photo") is None
    (tmp_path / "file").write_bytes(b"")
    for folder in (None, tmp_path / "file"):
        cache = FeatureCache(folder, "sha256:one")
        cache.put("sha256:photo", features)
        assert cache.get("sha256:photo") is None


def test_one_photo_that_cannot_be_decoded_is_left_out_by_name(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer([*examples, (b"no photo at all", "good", "train")])
    done = run()
    address = digest(b"no photo at all")
    assert done["outcome"] == "succeeded"
    assert list(done["details"]["left_out"]) == [address]
    assert done["details"]["train_n"] == 24
    (event,) = (event for event in control.said("event") if event["kind"] == "payload_left_out")
    assert event["detail"]["payload"] == address
    assert event["detail"]["subject"] == "s032"
    assert "no JPEG, PNG or WebP" in event["detail"]["reason"]


def test_many_photos_that_cannot_be_decoded_fail_the_job(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    broken = [(data[:500], label, split) for data, label, split in examples[:3]]
    control.offer([*broken, *examples[3:]])
    with pytest.raises(UnreadableImage, match=r"2 of 32 photos .* payload sha256:\w+ of subject"):
        run()
    assert failure(control)["code"] == "image.unreadable"


@pytest.mark.parametrize(
    ("answer", "code"), [(b"another", "payload_corrupt"), (None, "payload_unreachable")]
)
def test_a_payload_that_cannot_be_had_is_named(
    control: Any,
    run: Callable[..., dict[str, Any]],
    examples: list[Example],
    answer: bytes | None,
    code: str,
) -> None:
    control.offer(examples)
    path = next(path for path in control.files if path.startswith("/payloads/"))
    control.files[path] = answer
    with pytest.raises(DataUnavailable):
        run()
    told = failure(control)
    assert told["code"] == code
    assert path.removeprefix("/payloads/") in told["message"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"labels": ["good"]}, "labels"),
        ({"labels": None}, "labels"),
        ({"labels": ["good", "good"]}, "labels"),
        ({"path": "full"}, "path"),
        ({"seed": -1}, "seed"),
        ({"class_weight": "some"}, "class_weight"),
    ],
)
def test_wrong_hyperparameters_are_named(
    control: Any, run: Callable[..., dict[str, Any]], wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=rf"hyperparameters\.{field} is "):
        run(**wanted)
    assert failure(control)["code"] == "input.invalid"


def test_a_foreign_label_makes_the_dataset_unreadable(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer([*examples, (photo(99, "good"), "stain", "train")])
    with pytest.raises(DataUnavailable, match="Subject 's032' has label 'stain'"):
        run()
    assert failure(control)["code"] == "dataset_unreadable"


def test_too_few_photos_of_a_label_are_said_to_be_so(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer([example for example in examples if example[1] == "good"])
    with pytest.raises(TooLittleData, match="'defect': 0"):
        run()
    assert failure(control)["code"] == "too_little_data"


def test_a_graph_that_answers_otherwise_is_not_handed_over(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    run()
    image = decode(examples[0][0])[np.newaxis]
    model = OnnxEngine(threads=1).load(control.artifact)
    right = model.predict(image).astype(np.float64)
    assert check_parity(control.artifact, image, right) < 1e-6
    for wrong in (right + np.array([0.002, -0.002]), right * np.nan):
        with pytest.raises(ParityFailed) as raised:
            check_parity(control.artifact, image, wrong)
        assert raised.value.code == "parity_failed"
    assert issubclass(ParityFailed, BurnishError)


def test_a_stopped_job_ends_without_a_model(
    control: Any, run: Callable[..., dict[str, Any]], examples: list[Example]
) -> None:
    control.offer(examples)
    control.answers["/v1/jobs/job-1/"] = [409] * 9
    with pytest.raises(JobStopped):
        run()
    assert control.callbacks == []
    assert control.artifact is None


@pytest.mark.parametrize("good", [True, False])
def test_the_program_runs_as_an_attempt_does(
    control: Any, tmp_path: Path, examples: list[Example], good: bool
) -> None:
    control.offer(examples if good else examples[:1])
    environment = control.environment(BURNISH_CACHE_DIR=str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-m", "burnish.trainers.image_classifier"],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode == 0) == good, ended.stderr
    assert control.said("done")[0]["outcome"] == ("succeeded" if good else "failed")
    assert f"job job-1, dataset laundry@1, trace {environment['TRACE_ID']}" in ended.stderr


def test_the_processor_says_what_it_can(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma avx512f sse4_2 rdrand\n", "utf-8")
    assert cpu_flags(info) == ["avx2", "avx512f", "fma", "sse4_2"]
    assert cpu_flags(tmp_path / "none") == []
