"""Sieves: which keys an index surely does not have, told without a look at the index.

A history has a layer for each million lines, and a build looks its keys up in each of them, nearly
always in vain. A sieve is a Bloom filter in blocks (Putze, Sanders and Singler 2007), each of which
is one word of 64 bits: the high bits of a key tell the word, so that keys in order read a sieve
from beginning to end, and its low bits tell up to four bits in the word. It takes an eighth to a
quarter of the index's room, and one key in a hundred at most gets through for nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from burnish.datasets.lines import Keys, Numbers

_PER_WORD: Final = 4  # keys, at most, on average
_MARKS: Final = 4  # bits that each sets in its word
_WORD: Final = np.uint64(63)  # the number of a bit in a word
_WORD_BITS: Final = np.uint64(6)  # of such a number
_KEY_BITS: Final = 64


@dataclass(frozen=True)
class Needles:
    """Keys to look for, of 64 bits of a hash each, once and in order."""

    keys: Keys

    @cached_property
    def marks(self) -> Keys:
        """The bits of each in its word, the same for every sieve."""
        return _marks(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def sieve_of(keys: Keys) -> Keys:
    """Return the words of the sieve of keys in order."""
    bits = max(1, (len(keys) // _PER_WORD).bit_length())
    words = np.zeros(1 << bits, np.uint64)
    places = _places(keys, bits)
    firsts = np.nonzero(np.diff(places, prepend=-1))[0]
    if len(firsts):
        words[places[firsts]] = np.bitwise_or.reduceat(_marks(keys), firsts)
    return words


def passing(sieve: Keys, needles: Needles) -> Numbers:
    """Return the places of those keys that may be among what the sieve was made of."""
    words = sieve.take(_places(needles.keys, len(sieve).bit_length() - 1))
    return np.nonzero(words & needles.marks == needles.marks)[0]


def _marks(keys: Keys) -> Keys:
    marks, rest = np.zeros(len(keys), np.uint64), keys
    for _ in range(_MARKS):
        marks |= np.uint64(1) << (rest & _WORD)
        rest = rest >> _WORD_BITS
    return marks


def _places(keys: Keys, bits: int) -> Numbers:
    """Return the number of each key's word."""
    places: Numbers = (keys >> np.uint64(_KEY_BITS - bits)).view(np.int64)
    return places
