"""Sieves: which keys an index surely does not have, told without a look at the index.

A history has a layer for each million lines, and a build looks its keys up in each of them, nearly
always in vain. A sieve cuts the range of keys into eight to sixteen parts per key and has a bit for
each: whether any key lies in it. It takes an eighth of the index's room or less, and keys that come
in order read it from beginning to end. One in eight at most gets through for nothing.
"""

from typing import Final

import numpy as np

from burnish.datasets.lines import Bytes, Keys, Mask

_PARTS: Final = 8  # per key, at least
_KEY_BITS: Final = 64
_BYTE: Final = np.uint64(3)  # shift from a bit's number to its byte's
_IN_BYTE: Final = np.uint64(7)


def sieve_of(keys: Keys) -> Bytes:
    """Return the sieve of keys, which are 64 bits of a hash each."""
    bits = max(3, (_PARTS * len(keys) - 1).bit_length())
    marks = np.zeros(1 << bits, bool)
    marks[keys >> np.uint64(_KEY_BITS - bits)] = True
    return np.packbits(marks, bitorder="little")


def passing(sieve: Bytes, keys: Keys) -> Mask:
    """Tell of each key whether it may be one of those that the sieve was made of."""
    bits = (8 * len(sieve) - 1).bit_length()
    part = keys >> np.uint64(_KEY_BITS - bits)
    passed: Mask = (sieve[part >> _BYTE] >> (part & _IN_BYTE).astype(np.uint8)) & 1 == 1
    return passed
