"""Packed: what lines say, one after another as bytes, in as many pieces as it came in.

It is most of what a build holds. So it is never joined: pieces are handed on as they are, from the
processes that read them to the object that they are stored in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The bytes of each of some lines; none lies in two pieces."""

    ends: NDArray[np.int64]  # of each line's bytes, counted over all pieces
    pieces: tuple[NDArray[np.uint8], ...]

    @classmethod
    def of(cls, data: Sequence[bytes]) -> "Packed":
        """Return the bytes of lines, packed."""
        lengths = np.array(list(map(len, data)), np.int64)
        return cls(ends=np.cumsum(lengths), pieces=(np.frombuffer(b"".join(data), np.uint8),))

    @classmethod
    def joined(cls, parts: Sequence["Packed"]) -> "Packed":
        """Return the lines of all parts, in their order."""
        shifts = np.cumsum([0, *(part.size for part in parts)])
        return cls(
            ends=np.concatenate(
                [part.ends + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
            ),
            pieces=tuple(piece for part in parts for piece in part.pieces),
        )

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, indices: NDArray[np.int64]) -> Iterator[memoryview]:
        """Yield the bytes of some lines."""
        pieces, firsts = [piece.data for piece in self.pieces], self._firsts
        starts = self._starts(indices)
        numbers = np.searchsorted(firsts, starts, "right") - 1
        shifts = firsts[numbers]
        for number, start, end in zip(
            numbers.tolist(),
            (starts - shifts).tolist(),
            (self.ends[indices] - shifts).tolist(),
            strict=True,
        ):
            yield pieces[number][start:end]

    def part(self, start: int, stop: int) -> "Packed":
        """Return the lines from one number up to another."""
        first, last = (int(self.ends[edge - 1]) if edge else 0 for edge in (start, stop))
        cuts = (
            piece[max(0, first - at) : max(0, last - at)]
            for piece, at in zip(self.pieces, self._firsts.tolist(), strict=True)
        )
        return Packed(ends=self.ends[start:stop] - first, pieces=tuple(cuts))

    def replaced(self, indices: NDArray[np.int64], data: Sequence[bytes]) -> "Packed":
        """Return the lines, some of them, in sorted order, with other bytes."""
        if not len(indices):
            return self
        whole, lengths = np.concatenate(self.pieces), np.diff(self.ends, prepend=0)
        starts, ends = self._starts(indices).tolist(), self.ends[indices].tolist()
        parts, at = [], 0
        for start, end, other in zip(starts, ends, data, strict=True):
            parts += [whole[at:start], np.frombuffer(other, np.uint8)]
            at = end
        lengths[indices] = list(map(len, data))
        return Packed(ends=np.cumsum(lengths), pieces=(np.concatenate([*parts, whole[at:]]),))

    def _starts(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(indices > 0, self.ends[indices - 1], 0)

    @property
    def _firsts(self) -> NDArray[np.int64]:
        """Where each piece begins."""
        return np.cumsum([0, *map(len, self.pieces)])[:-1]
