"""One graph from pixels to probabilities: backbone, head, softmax, and what it was made from."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from burnish.imaging import PREPROCESSING, SIDE
from burnish.kernel.errors import BurnishError
from burnish.trainers.image_classifier.features import session
from burnish.trainers.image_classifier.head import Head
from burnish.trainers.lite0 import INPUT, OUTPUT, model_of

PROBABILITIES: Final = "probabilities"
KIND: Final = "image-classification"
PARITY: Final = 1e-3  # greatest difference between a probability of the graph and scikit-learn's


class ParityFailed(BurnishError):
    """The exported graph answers otherwise than the model that was trained."""

    code = "parity_failed"


def compose(
    backbone: ModelProto, head: Head, *, labels: tuple[str, ...], trainer: Mapping[str, Any]
) -> bytes:
    """Return the ONNX bytes of the whole classifier; `trainer` tells how to train it again."""
    weights = numpy_helper.from_array(head.weights.astype(np.float32), "head.weights")
    bias = numpy_helper.from_array(head.bias.astype(np.float32), "head.bias")
    nodes = [
        helper.make_node("Gemm", [OUTPUT, weights.name, bias.name], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], [PROBABILITIES], axis=1),
    ]
    model = model_of(
        helper.make_graph(
            [*backbone.graph.node, *nodes],
            "image-classifier",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", len(labels)])],
            [*backbone.graph.initializer, weights, bias],
        )
    )
    facts = {
        "burnish.labels": list(labels),
        "burnish.trainer": dict(trainer),
    }
    helper.set_model_props(
        model,
        {
            "burnish.kind": KIND,
            "burnish.preprocessing": PREPROCESSING,
            **{name: json.dumps(value, sort_keys=True) for name, value in facts.items()},
        },
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def check_parity(
    artifact: bytes, images: NDArray[np.uint8], expected: NDArray[np.float64]
) -> float:
    """Return the greatest difference between the graph's answers from pixels and those expected.

    Raises ParityFailed if it is PARITY or more, or not a number.
    """
    (found,) = session(artifact).run([PROBABILITIES], {INPUT: images})
    difference = float(np.abs(found - expected).max())
    if not difference < PARITY:
        raise ParityFailed(
            f"The exported graph differs by {difference:.3g} from the trained head on "
            f"{len(images)} photos: less than {PARITY:g} is allowed.",
            difference=difference,
        )
    return difference
