"""Sieves: which keys an index surely does not have, told without a look at the index.

A history has a layer for each million lines, and a build looks its keys up in each of them, nearly
always in vain. A sieve cuts the range of keys into eight to sixteen parts per key and has a bit for
each: whether any key lies in it. It takes an eighth of the index's room or less, and keys that come
in order read it from beginning to end. One in eight at most gets through for nothing, and of these
as few get through the next sieve, which goes by other bits of the key.
"""

from typing import Final

import numpy as np

from burnish.datasets.lines import Bytes, Keys, Numbers

_PARTS: Final = 8  # per key, at least
_SHIFTS: Final = (0, 20, 40)  # of each sieve's bits from a key's highest ones
_KEY_BITS: Final = 64
_BYTE: Final = 3  # shift from a bit's number to its byte's
_IN_BYTE: Final = 7


def sieve_of(keys: Keys) -> Bytes:
    """Return the sieves of keys, which are 64 bits of a hash each, one after another."""
    bits = max(3, (_PARTS * len(keys) - 1).bit_length())
    marks = np.zeros((len(_SHIFTS), 1 << bits), bool)
    for row, shift in zip(marks, _SHIFTS, strict=True):
        row[_parts(keys, shift, bits)] = True
    return np.packbits(marks, axis=1, bitorder="little")


def passing(sieve: Bytes, keys: Keys) -> Numbers:
    """Return the places of those keys that may be among what the sieves were made of.

    Layers that were stored before there was a second sieve have one only.
    """
    rows = np.atleast_2d(sieve)
    bits = (8 * rows.shape[1] - 1).bit_length()
    passed = np.arange(len(keys))
    for row, shift in zip(rows, _SHIFTS, strict=False):
        part = _parts(keys[passed], shift, bits)
        bit = np.uint8(1) << (part & _IN_BYTE).astype(np.uint8)
        passed = passed[row[part >> _BYTE] & bit != 0]
    return passed


def _parts(keys: Keys, shift: int, bits: int) -> Numbers:
    """Return of each key which part of the range it lies in."""
    parts: Numbers = ((keys << np.uint64(shift)) >> np.uint64(_KEY_BITS - bits)).view(np.int64)
    return parts
