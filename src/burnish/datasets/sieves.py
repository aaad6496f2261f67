"""Sieves: which keys an index surely does not have, told without a look at the index.

A history has a layer for each million lines, and a build looks its keys up in each of them, nearly
always in vain. A sieve cuts the range of keys into eight to sixteen parts per key and has a bit for
each: whether any key lies in it. It takes an eighth of the index's room or less, and keys that come
in order read it from beginning to end. One in eight at most gets through for nothing. There are
three, each of which goes by other bits of the key, so that one in five hundred gets through all.
"""

from typing import Final

import numpy as np

from burnish.datasets.lines import Bytes, Keys, Numbers

_PARTS: Final = 8  # per key, at least
_SIEVES: Final = 3
_NEXT: Final = np.uint64(20)  # bits of a key from those that one sieve goes by to the next one's
_KEY_BITS: Final = 64
_BYTE: Final = 3  # shift from a bit's number to its byte's
_IN_BYTE: Final = np.uint8(7)


def sieve_of(keys: Keys) -> Bytes:
    """Return the sieves of keys, which are 64 bits of a hash each, one in a row."""
    bits = max(_BYTE, (_PARTS * len(keys) - 1).bit_length())
    marks = np.zeros((_SIEVES, 1 << bits), bool)
    for sieve in marks:
        sieve[_parts(keys, bits)] = True
        keys = keys << _NEXT
    return np.packbits(marks, axis=1, bitorder="little")


def passing(sieves: Bytes, keys: Keys) -> Numbers:
    """Return the places of those keys that may be among what the sieves were made of.

    A layer that was stored when there was one sieve only has no row of them, but it.
    """
    sieves = np.atleast_2d(sieves)
    bits = (8 * sieves.shape[1] - 1).bit_length()
    places = np.arange(len(keys))
    for sieve in sieves:
        parts = _parts(keys, bits)
        marks = sieve.take(parts >> _BYTE) >> (parts.astype(np.uint8) & _IN_BYTE)
        passed = np.nonzero(marks & 1)[0]
        places, keys = places[passed], keys[passed] << _NEXT
    return places


def _parts(keys: Keys, bits: int) -> Numbers:
    """Return of each key which part of the range it lies in, of as many as the bits can tell."""
    parts: Numbers = (keys >> np.uint64(_KEY_BITS - bits)).view(np.int64)
    return parts
