"""The inference engine on ONNX Runtime: loads only what keeps the classifier's contract."""

import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from burnish.imaging import PREPROCESSING, SIDE
from burnish.kernel.inference import ArtifactRejected

INPUT: Final = "image"
OUTPUT: Final = "probabilities"
_PIXELS: Final = "tensor(uint8)"
_PROBABILITIES: Final = "tensor(float)"
_SUM_TOLERANCE: Final = 1e-3  # of the probabilities of one photo around 1


class OnnxEngine:
    """Loads artifacts as classifiers; each of them computes on `threads` threads a call.

    The threads sleep rather than spin between calls, because other processes share the machine.
    """

    def __init__(self, *, threads: int) -> None:
        self._threads = threads

    def load(self, artifact: bytes) -> "OnnxClassifier":
        """Load and check an artifact.

        Raises ArtifactRejected if it is no self-contained ONNX graph, has other inputs, outputs or
        metadata than agreed, or answers with other than finite probabilities.
        """
        labels = _declared_labels(artifact)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                artifact, options, providers=["CPUExecutionProvider"]
            )
            _check_ports(session, len(labels))
            loaded = OnnxClassifier(session, labels)
            _check_answers(loaded)
        except ArtifactRejected:
            raise
        except Exception as error:  # the runtime's own errors have no common root but this
            raise ArtifactRejected(f"The artifact does not run: {error}") from error
        return loaded


class OnnxClassifier:
    """A classifier in memory; safe in any thread."""

    def __init__(self, session: onnxruntime.InferenceSession, labels: tuple[str, ...]) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._labels = labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the outputs."""
        return self._labels

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities [n, classes] of RGB images [n, 224, 224, 3].

        Raises RuntimeError once it is closed.
        """
        session = self._session  # keeps it alive for this call should another thread close it
        if session is None:
            raise RuntimeError("This model is closed: ask the one that is served now.")
        (found,) = session.run([OUTPUT], {INPUT: images})
        return np.asarray(found, np.float32)

    def close(self) -> None:
        """Free the memory as soon as the last call under way is over; closing twice is fine."""
        self._session = None


def _declared_labels(artifact: bytes) -> tuple[str, ...]:
    """Read the labels from the graph's metadata, once it is known to be whole and ours."""
    try:
        model = onnx.load_model_from_string(artifact)
    except Exception as error:  # protobuf's, whose name moves between versions
        raise ArtifactRejected(
            "The artifact is no ONNX graph: export the model to ONNX."
        ) from error
    if not model.graph.node:
        raise ArtifactRejected("The artifact is no ONNX graph, or an empty one: export to ONNX.")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise ArtifactRejected("The artifact keeps weights in other files: export it as one file.")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    if facts.get("burnish.preprocessing") != PREPROCESSING:
        raise ArtifactRejected(
            f"burnish.preprocessing is {facts.get('burnish.preprocessing')!r}: this version of "
            f"Burnish prepares photos as {PREPROCESSING!r}; train the model again."
        )
    try:
        labels = json.loads(facts.get("burnish.labels", ""))
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not labels or not all(isinstance(x, str) for x in labels):
        raise ArtifactRejected(
            "burnish.labels is missing or no list: set it to a JSON list of the labels."
        )
    return tuple(labels)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor that a graph holds, also in the branches of its conditionals and loops."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _check_ports(session: onnxruntime.InferenceSession, classes: int) -> None:
    """Raise ArtifactRejected unless inputs and outputs have the agreed names, types and shapes."""
    expected = {
        "input": (session.get_inputs(), INPUT, _PIXELS, [SIDE, SIDE, 3]),
        "output": (session.get_outputs(), OUTPUT, _PROBABILITIES, [classes]),
    }
    for kind, (ports, name, dtype, tail) in expected.items():
        found = [(port.name, port.type, list(port.shape)) for port in ports]
        if not (
            len(found) == 1
            and found[0][:2] == (name, dtype)
            and found[0][2][1:] == tail
            and _is_free(found[0][2][0])
        ):
            raise ArtifactRejected(
                f"The artifact's {kind} is {found}: it must be {name!r}, {dtype} [n, "
                + ", ".join(map(str, tail))
                + "] with n free."
            )


def _is_free(extent: Any) -> bool:
    return not isinstance(extent, int)


def _check_answers(model: OnnxClassifier) -> None:
    """Raise ArtifactRejected unless black, white and noise give finite probabilities."""
    shape = (SIDE, SIDE, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = model.predict(
        np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise])
    )
    if found.shape != (3, len(model.labels)):
        raise ArtifactRejected(f"The artifact answers three photos with shape {found.shape}.")
    if not (
        np.isfinite(found).all()
        and (found >= 0).all()
        and np.allclose(found.sum(axis=1), 1, atol=_SUM_TOLERANCE)
    ):
        raise ArtifactRejected("The artifact's answers are no finite probabilities that sum to 1.")
