"""The Open Inference Protocol v2 as JSON: documents in, documents out, no I/O."""

from itertools import chain
from math import prod
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from burnish.inference.errors import InvalidTensor
from burnish.inference.plane import Answer
from burnish.kernel.errors import Unreadable
from burnish.serving.router import Slot

IMAGE: Final = (224, 224, 3)
MAX_BATCH: Final = 64  # images in one request
PLATFORM: Final = "onnxruntime_onnx"
_FLAT: Final = 1  # nesting depth of row-major data
_NESTED: Final = 1 + len(IMAGE)
_OUTPUTS: Final = ("probabilities", "label", "prediction_id")


class InputTensor(Struct, kw_only=True):
    """A tensor of a request; `data` is flat in row-major order or nested like its shape."""

    name: str
    datatype: str
    shape: list[int]
    data: msgspec.Raw
    parameters: dict[str, Any] = field(default_factory=dict)


class OutputWanted(Struct, kw_only=True):
    """An output that the client asks for; if it asks for none it gets them all."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


class InferRequest(Struct, kw_only=True):
    """The body of an infer request."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[OutputWanted] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


_REQUEST: Final = msgspec.json.Decoder(InferRequest)
_FLAT_DATA: Final = msgspec.json.Decoder(list[int])
_NESTED_DATA: Final = msgspec.json.Decoder(list[list[list[list[int]]]])


def parse(body: bytes) -> InferRequest:
    """Read an infer request. Raises Unreadable, or InvalidTensor for an unknown output."""
    try:
        request = _REQUEST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The body is no infer request: {error}.") from error
    for output in request.outputs:
        if output.name not in _OUTPUTS:
            raise InvalidTensor(f"There is no output {output.name!r}: ask for {list(_OUTPUTS)}.")
    return request


def images(request: InferRequest) -> NDArray[np.uint8]:
    """Return the images [n, 224, 224, 3] of a request. Raises InvalidTensor."""
    if len(request.inputs) != 1 or request.inputs[0].name != "image":
        names = [tensor.name for tensor in request.inputs]
        raise InvalidTensor(f"The inputs are {names}: send exactly one, named 'image'.")
    tensor = request.inputs[0]
    if tensor.datatype != "UINT8":
        raise InvalidTensor(f"The datatype of 'image' is {tensor.datatype!r}: it must be 'UINT8'.")
    shape = tuple(tensor.shape)
    if shape[1:] != IMAGE or not 1 <= shape[0] <= MAX_BATCH:
        raise InvalidTensor(
            f"The shape of 'image' is {list(shape)}: it must be [n, 224, 224, 3], n ≤ {MAX_BATCH}."
        )
    values = _values(bytes(tensor.data), shape)
    if len(values) != prod(shape):
        raise InvalidTensor(f"'image' has {len(values)} values: its shape needs {prod(shape)}.")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _values(data: bytes, shape: tuple[int, ...]) -> bytes:
    """Return the values of flat or nested JSON data, in row-major order."""
    opening = data[: _NESTED * 8].translate(None, b" \t\r\n")
    depth = len(opening) - len(opening.lstrip(b"["))
    try:
        if depth == _FLAT:
            return bytes(_FLAT_DATA.decode(data))  # refuses what is no integer from 0 to 255
        if depth == _NESTED:
            return _flatten(_NESTED_DATA.decode(data), shape)
    except (ValueError, OverflowError) as error:
        raise InvalidTensor(f"The data of 'image' is no UINT8 tensor: {error}.") from error
    raise InvalidTensor(
        f"The data of 'image' is nested {depth} deep: nest it {_NESTED} deep or not at all."
    )


def _flatten(nested: list[list[list[list[int]]]], shape: tuple[int, ...]) -> bytes:
    rows = list(chain.from_iterable(nested))
    pixels = list(chain.from_iterable(rows))
    sizes = ((shape[1], nested), (shape[2], rows), (shape[3], pixels))
    if any(len(part) != size for size, parts in sizes for part in parts):
        raise InvalidTensor(f"The data of 'image' is not nested as its shape {list(shape)} says.")
    return bytes(chain.from_iterable(pixels))


def reply(request: InferRequest, answer: Answer) -> dict[str, Any]:
    """Return the infer response of an answer."""
    verdicts = answer.verdicts
    flat = [value for verdict in verdicts for value in verdict.probabilities]
    count = len(verdicts)
    outputs = {
        "probabilities": ("FP32", [count, len(answer.labels)], flat),
        "label": ("BYTES", [count], [verdict.label for verdict in verdicts]),
        "prediction_id": ("BYTES", [count], [verdict.prediction_id for verdict in verdicts]),
    }
    wanted = [output.name for output in request.outputs] or list(_OUTPUTS)
    document: dict[str, Any] = {
        "model_name": answer.model,
        "model_version": answer.model_version,
        "parameters": {
            "release": answer.release,
            "generation": answer.generation,
            "prediction_id": verdicts[0].prediction_id,
        },
        "outputs": [
            {"name": name, "datatype": kind, "shape": shape, "data": data}
            for name in wanted
            for kind, shape, data in (outputs[name],)
        ],
    }
    if request.id is not None:
        document["id"] = request.id
    return document


def server_metadata(version: str) -> dict[str, Any]:
    """Return what the server is."""
    return {"name": "burnish", "version": version, "extensions": []}


def model_metadata(slot: Slot) -> dict[str, Any]:
    """Return the tensors of a model and the version that serves."""
    return {
        "name": slot.model,
        "versions": [slot.model_version],
        "platform": PLATFORM,
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, *IMAGE]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(slot.labels)]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }
