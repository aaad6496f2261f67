"""Reads a PyTorch `.pth` of tensors without PyTorch, and without trusting the file.

The format (PyTorch before 1.6): pickles of a magic number, a protocol number, facts on the writing
machine, the dictionary of tensors (each a view of a named storage) and the list of storage names;
then, for each storage in that order, its length as a 64-bit integer and its raw elements.

A pickle can call anything that it can name. This reader lets it name four harmless things, turns
storages into plain records, and copies tensors out only from within the bytes that are there.
"""

import collections
import io
import math
import pickle
import struct
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from burnish.kernel.errors import InvalidInput

Weights = dict[str, NDArray[np.generic]]

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_DTYPES: Final[dict[str, np.dtype[np.generic]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_LENGTH: Final = struct.Struct("<q")


class UntrustedWeights(InvalidInput):
    """The file is no table of tensors, or asks for something that such a table does not need."""

    code = "weights.untrusted"


class _Storage(NamedTuple):
    """A flat run of numbers that follows the pickles under this key."""

    key: str
    dtype: np.dtype[np.generic]
    length: int  # elements


class _View(NamedTuple):
    """One tensor: where in which storage its elements lie."""

    storage: _Storage
    offset: int  # elements
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # elements


def _view(
    storage: object, offset: object, shape: object, stride: object, *_autograd: object
) -> _View:
    """Stand in for `torch._utils._rebuild_tensor_v2`; gradients and hooks are left behind."""
    if not (
        isinstance(storage, _Storage)
        and isinstance(offset, int)
        and isinstance(shape, tuple)
        and isinstance(stride, tuple)
        and all(isinstance(number, int) and number >= 0 for number in (offset, *shape, *stride))
        and len(shape) == len(stride)
    ):
        raise UntrustedWeights("A tensor of the weights file is described by other than numbers.")
    return _View(storage, offset, shape, stride)


class _Unpickler(pickle.Unpickler):
    """An unpickler that admits four names and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """Return what a name stands for. Raises UntrustedWeights for any other name."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _DTYPES:
            return name
        raise UntrustedWeights(
            f"The weights file asks for {module}.{name}: only plain tensors of floats and integers "
            "are read.",
            name=f"{module}.{name}",
        )

    def persistent_load(self, reference: object) -> _Storage:
        """Return the storage that a tuple ("storage", type, key, device, length, …) names."""
        match reference:
            case ("storage", str(kind), str(key), _, int(length), *_) if kind in _DTYPES:
                return _Storage(key, _DTYPES[kind], length)
            case _:
                raise UntrustedWeights(f"The weights file refers to {str(reference)[:200]}.")


def read(path: Path) -> Weights:
    """Return the tensors of a `.pth` file by name.

    Raises UntrustedWeights if it is anything but a whole, plain table of tensors, and OSError if
    it cannot be read.
    """
    return parse(path.read_bytes())


def parse(data: bytes) -> Weights:
    """Return the tensors in the bytes of a `.pth` file. Raises UntrustedWeights as `read` does."""
    stream = io.BytesIO(data)
    try:
        magic, protocol, _machine, views, keys = (_Unpickler(stream).load() for _ in range(5))
    except UntrustedWeights:
        raise
    except Exception as error:  # a hostile pickle can raise whatever the unpickler can
        raise UntrustedWeights(f"The weights file is no pickle of tensors: {error}") from error
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise UntrustedWeights(f"The weights file opens with {magic!r}, {protocol!r}.")
    if not (
        isinstance(views, dict)
        and isinstance(keys, list)
        and all(isinstance(name, str) and isinstance(view, _View) for name, view in views.items())
    ):
        raise UntrustedWeights("The weights file holds more than a table of tensors.")
    storages = _storages(data, stream.tell(), keys, {view.storage for view in views.values()})
    return {name: _tensor(name, view, storages) for name, view in views.items()}


def _storages(
    data: bytes, at: int, keys: list[object], declared: set[_Storage]
) -> dict[_Storage, NDArray[np.generic]]:
    """Read the raw numbers behind the pickles, each storage against its declared length."""
    by_key = {storage.key: storage for storage in declared}
    if len(by_key) != len(declared) or set(keys) != set(by_key):
        raise UntrustedWeights("The weights file lists other storages than its tensors use.")
    found = {}
    for key in keys:
        storage = by_key[str(key)]
        end = at + _LENGTH.size + storage.length * storage.dtype.itemsize
        if end > len(data) or _LENGTH.unpack_from(data, at) != (storage.length,):
            raise UntrustedWeights(f"Storage {storage.key!r} of the weights file is cut short.")
        found[storage] = np.frombuffer(data[at + _LENGTH.size : end], storage.dtype)
        at = end
    return found


def _tensor(
    name: str, view: _View, storages: dict[_Storage, NDArray[np.generic]]
) -> NDArray[np.generic]:
    """Copy one tensor out of its storage: it must lie within, and hold no element twice over."""
    storage = view.storage
    last = view.offset + sum(
        (extent - 1) * step for extent, step in zip(view.shape, view.stride, strict=True)
    )
    if 0 in view.shape or last >= storage.length or math.prod(view.shape) > storage.length:
        raise UntrustedWeights(f"Tensor {name!r} of the weights file lies outside its storage.")
    return np.ascontiguousarray(
        np.lib.stride_tricks.as_strided(
            storages[storage][view.offset :],
            view.shape,
            [step * storage.dtype.itemsize for step in view.stride],
        )
    ).reshape(view.shape)
