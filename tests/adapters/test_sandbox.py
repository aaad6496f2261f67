"""The sandbox with real children: what they may know, what they say, and how they are ended."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.adapters.sandbox import ChildSandbox, ChildTrial
from burnish.imaging import PREPROCESSING, SIDE

FACTS = {"burnish.labels": '["good", "defect"]', "burnish.preprocessing": PREPROCESSING}
SHAPE = ["n", SIDE, SIDE, 3]
PHOTOS = np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
HUGE = 1 << 32  # floats: more than any sandbox may hold


def artifact(*, hungry: bool = False) -> bytes:
    """Make a classifier that goes by the mean colour; a hungry one wants 16 GiB beside it."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    if hungry:
        nodes[2:] = [
            helper.make_node("ReduceMax", ["mean"], ["most"], keepdims=0),
            helper.make_node("Expand", ["most", "size"], ["pile"]),
            helper.make_node("ReduceMax", ["pile"], ["top"], keepdims=0),
            helper.make_node("Add", ["mean", "top"], ["more"]),
            helper.make_node("MatMul", ["more", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "by-colour",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, SHAPE)],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
            [
                numpy_helper.from_array(np.ones((3, 2), np.float32), "w"),
                numpy_helper.from_array(np.array([HUGE], np.int64), "size"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, FACTS)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def trial(data: bytes, **changes: Any) -> ChildTrial:
    return ChildSandbox(threads=1, **changes).open(data, PHOTOS)


def test_a_candidate_that_is_fit_is_measured() -> None:
    with trial(artifact()) as running:
        measured = running.measure(crowd=True)
    assert measured.failure is None
    assert measured.requests >= 20
    assert 0 < measured.p50_ms <= measured.p95_ms <= measured.p99_ms
    assert measured.low_ms <= measured.mean_ms <= measured.high_ms
    assert measured.throughput > 0
    assert measured.callers >= 1
    assert 20 < measured.memory_mb < 8_000
    assert measured.load_seconds > 0


@pytest.mark.parametrize(
    ("data", "says"), [(b"no model", "no ONNX graph"), (artifact(hungry=True), "does not run")]
)
def test_a_candidate_that_does_not_load_or_wants_too_much_is_told_off(
    data: bytes, says: str
) -> None:
    with trial(data) as running:
        failure = running.measure(crowd=False).failure
    assert failure is not None
    assert says in failure


def test_throughput_is_measured_only_where_it_is_asked_for() -> None:
    with trial(artifact()) as running:
        measured = running.measure(crowd=False)
    assert (measured.failure, measured.throughput) == (None, 0)


def test_one_that_takes_too_long_is_ended() -> None:
    with trial(artifact(), deadline_s=0.01) as running:
        failure = running.measure(crowd=False).failure
    assert failure == "no answer in the sandbox within 0.01 s"
    assert running.process.returncode == -signal.SIGKILL


def test_one_that_dies_is_reported_with_how() -> None:
    with trial(artifact()) as running:
        os.kill(running.process.pid, signal.SIGKILL)
        failure = running.measure(crowd=False).failure
    assert failure == "the sandboxed process was ended by SIGKILL: no last words"


def test_the_child_knows_nothing_of_our_environment_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BURNISH_SECRET", "hush")
    with trial(artifact()) as running:
        process = Path("/proc") / str(running.process.pid)
        folder = (process / "cwd").readlink()
        names = {
            pair.partition(b"=")[0] for pair in (process / "environ").read_bytes().split(b"\0")
        }
        assert names <= {b"PYTHONPATH", b""}
        assert running.measure(crowd=False).failure is None
    assert not folder.exists()


def test_a_trial_that_nobody_measures_ends_with_its_block() -> None:
    with trial(artifact()) as running:
        assert running.process.poll() is None
    assert running.process.returncode == -signal.SIGKILL
