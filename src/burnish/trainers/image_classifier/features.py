"""Frozen features of photos: from the cache where they are known, else through the backbone."""

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from burnish.imaging import PREPROCESSING, decode
from burnish.kernel.digest import canonical, digest, hexadecimal
from burnish.trainers.lite0 import FEATURES, INPUT, OUTPUT

Vector = NDArray[np.float32]

# One photo a call and one thread a call, in parallel calls: on two cores this took 2.7 ms a photo,
# batches of 16 on two threads 3.9, because a single photo's activations stay in the core's cache.
# It also makes a photo's features independent of its neighbours and of the number of cores.
INTRA_OP_THREADS: Final = 1

_CHECKSUM_BYTES: Final = hashlib.sha256().digest_size
_DTYPE: Final = np.dtype("<f4")


def session(graph: bytes) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session with its threads stated; its `run` is safe in any thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = INTRA_OP_THREADS
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Backbone:
    """The frozen network: photo bytes in, 1280 features out."""

    def __init__(self, graph: bytes) -> None:
        self.digest = digest(graph)
        self._session = session(graph)

    def features(self, photo: bytes) -> Vector:
        """Return the features of a photo. Raises UnreadableImage. Safe in any thread."""
        (found,) = self._session.run([OUTPUT], {INPUT: decode(photo)[np.newaxis]})
        return np.asarray(found[0], np.float32)


class FeatureCache:
    """Features on disk, one file each, by (payload, preprocessing, backbone); safe in any thread.

    A file is a checksum and the numbers. It appears whole or not at all; one that does not agree
    with its checksum counts as missing. A folder that cannot be written to costs time only, and
    without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None, backbone: str) -> None:
        self._folder, self._backbone = folder, backbone

    def get(self, payload: str) -> Vector | None:
        """Return the features of the payload with this digest, or None."""
        path = self._path(payload)
        try:
            data = b"" if path is None else path.read_bytes()
        except OSError:
            return None
        checksum, body = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        if len(body) != FEATURES * _DTYPE.itemsize or hashlib.sha256(body).digest() != checksum:
            return None
        return np.frombuffer(body, _DTYPE).astype(np.float32)

    def put(self, payload: str, features: Vector) -> None:
        """Keep the features of a payload, if the folder can be written to."""
        path = self._path(payload)
        if path is None:
            return
        body = features.astype(_DTYPE).tobytes()
        partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(hashlib.sha256(body).digest() + body)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def _path(self, payload: str) -> Path | None:
        if self._folder is None:
            return None
        name = hexadecimal(digest(canonical([payload, PREPROCESSING, self._backbone])))
        return self._folder / "features" / name[:2] / name
