"""Stored: a header and arrays as one object, which can be mapped instead of read."""

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from burnish.kernel.digest import Part

Stored = NDArray[Any] | tuple[NDArray[Any], ...]  # an array, or its pieces

_ALIGNMENT: Final = 64


def to_parts(header: dict[str, Any], arrays: Mapping[str, Stored]) -> list[Part]:
    """Return the parts of the object; the arrays themselves are not copied."""
    table, at = {}, 0
    parts: list[Part] = []
    for name, stored in arrays.items():
        pieces = stored if isinstance(stored, tuple) else (np.ascontiguousarray(stored),)
        gap = -at % _ALIGNMENT
        parts += [b"\0" * gap, *(piece.data.cast("B") for piece in pieces if piece.size)]
        shape = [sum(map(len, pieces)), *pieces[0].shape[1:]]
        table[name] = [pieces[0].dtype.str, shape, at + gap]
        at += gap + sum(piece.nbytes for piece in pieces)
    head = msgspec.json.encode({"header": header, "arrays": table})
    head += b" " * (-(len(head) + 8) % _ALIGNMENT)
    return [len(head).to_bytes(8, "little"), head, *parts]


def from_bytes(data: memoryview) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header and the arrays of what `to_parts` made; the arrays are views of it."""
    size = int.from_bytes(data[:8], "little")
    head = msgspec.json.decode(data[8 : 8 + size])
    body = data[8 + size :]
    arrays = {}
    for name, (dtype, shape, at) in head["arrays"].items():
        count = prod(shape)
        arrays[name] = (
            np.frombuffer(body, dtype, count, at).reshape(shape)
            if count
            else np.zeros(shape, dtype)
        )
    return head["header"], arrays
