import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from burnish.adapters.onnx import OnnxEngine
from burnish.imaging import PREPROCESSING, SIDE
from burnish.kernel.inference import ArtifactRejected, Engine, LoadedModel

SHAPE = ["n", SIDE, SIDE, 3]
FACTS = {"burnish.labels": '["good", "defect"]', "burnish.preprocessing": PREPROCESSING}


def artifact(
    *,
    name: str = "image",
    dtype: int = TensorProto.UINT8,
    shape: list[Any] = SHAPE,
    output: str = "probabilities",
    bias: tuple[float, ...] = (0.5, -0.5),
    last: str = "Softmax",
    facts: Mapping[str, str] = FACTS,
) -> onnx.ModelProto:
    """Make a classifier that goes by the mean colour of a photo."""
    weights = np.linspace(-1, 1, 3 * len(bias), dtype=np.float32).reshape(3, len(bias)) / 50
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Cast", [name], ["pixels"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
                helper.make_node("Gemm", ["mean", "w", "b"], ["logits"]),
                helper.make_node(last, ["logits"], [output]),
            ],
            "by-colour",
            [helper.make_tensor_value_info(name, dtype, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], len(bias)])],
            [
                numpy_helper.from_array(weights, "w"),
                numpy_helper.from_array(np.array(bias, np.float32), "b"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, dict(facts))
    return model


def load(model: onnx.ModelProto) -> LoadedModel:
    engine: Engine = OnnxEngine(threads=1)
    return engine.load(model.SerializeToString())


def photos(count: int) -> Any:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_an_artifact_that_keeps_the_contract_answers() -> None:
    model = load(artifact())
    found = model.predict(photos(5))
    assert model.labels == ("good", "defect")
    assert (found.shape, found.dtype) == ((5, 2), np.float32)
    assert np.allclose(found.sum(axis=1), 1)


def test_answers_do_not_depend_on_threads_or_neighbours() -> None:
    model, images = load(artifact()), photos(16)
    together = model.predict(images)
    with ThreadPoolExecutor(4) as threads:
        alone = list(threads.map(lambda image: model.predict(image[np.newaxis])[0], images))
    assert np.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "x"}, "input is .* must be 'image'"),
        ({"dtype": TensorProto.FLOAT}, r"input is .* tensor\(uint8\)"),
        ({"shape": ["n", 224, 224, 1]}, "input is|does not run"),
        ({"shape": [1, 224, 224, 3]}, "n free"),
        ({"output": "scores"}, "output is .* must be 'probabilities'"),
        ({"bias": (0.1, 0.2, 0.3)}, "output is .*, 2]"),
        ({"bias": (float("nan"), 0.0)}, "no finite probabilities"),
        ({"last": "Identity"}, "no finite probabilities"),
        ({"last": "Frobnicate"}, "does not run"),
        ({"facts": {}}, "burnish.preprocessing is None"),
        ({"facts": FACTS | {"burnish.preprocessing": "old"}}, "train the model again"),
        ({"facts": FACTS | {"burnish.labels": "{"}}, "burnish.labels is missing or no list"),
        ({"facts": FACTS | {"burnish.labels": "[]"}}, "burnish.labels is missing or no list"),
        ({"facts": FACTS | {"burnish.labels": "[1, 2]"}}, "burnish.labels is missing or no list"),
    ],
)
def test_an_artifact_that_breaks_the_contract_is_refused(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ArtifactRejected, match=reason):
        load(artifact(**change))


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_onnx_are_refused(data: bytes) -> None:
    with pytest.raises(ArtifactRejected):
        OnnxEngine(threads=1).load(data)


def test_a_pickle_is_refused() -> None:
    with pytest.raises(ArtifactRejected, match="no ONNX graph"):
        OnnxEngine(threads=1).load(
            b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello\x94."
        )


def test_an_artifact_cut_short_is_refused() -> None:
    data = artifact().SerializeToString()
    for cut in (0.3, 0.6, 0.9):
        with pytest.raises(ArtifactRejected):
            OnnxEngine(threads=1).load(data[: int(len(data) * cut)])


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    model = artifact()
    (tmp_path / "weights").write_bytes(model.graph.initializer[0].raw_data)
    onnx.external_data_helper.set_external_data(
        model.graph.initializer[0], str(tmp_path / "weights")
    )
    model.graph.initializer[0].ClearField("raw_data")
    with pytest.raises(ArtifactRejected, match="weights in other files"):
        load(model)


def test_weights_in_other_files_are_found_inside_branches() -> None:
    hidden = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(hidden, "/etc/hostname")
    branch = helper.make_graph(
        [helper.make_node("Identity", ["hidden"], ["chosen"])],
        "branch",
        [],
        [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [2])],
        [hidden],
    )
    model = artifact()
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch)
    )
    with pytest.raises(ArtifactRejected, match="weights in other files"):
        load(model)


def test_a_closed_model_answers_no_more() -> None:
    model = load(artifact())
    model.close()
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.predict(photos(1))


def test_labels_keep_their_order_and_their_spelling() -> None:
    labels = ["zu gut", "キズ", "a"]
    facts = FACTS | {"burnish.labels": json.dumps(labels)}
    assert load(artifact(bias=(0.0, 0.0, 0.0), facts=facts)).labels == tuple(labels)
