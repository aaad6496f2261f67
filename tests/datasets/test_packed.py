"""What lines say is read back as it was packed, in however many pieces it lies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from burnish.datasets.packed import Packed

DATA = st.lists(st.binary(min_size=1, max_size=5), max_size=6)


def read(packed: Packed) -> list[bytes]:
    return [bytes(found) for found in packed.read(np.arange(len(packed.ends)))]


@given(parts=st.lists(DATA, min_size=1, max_size=5), draw=st.data())
def test_lines_in_pieces_are_the_lines_in_one(
    parts: list[list[bytes]], draw: st.DataObject
) -> None:
    whole = [data for part in parts for data in part]
    packed = Packed.joined([Packed.of(part) for part in parts])
    assert read(packed) == whole
    assert packed.size == sum(map(len, whole))

    start, stop = sorted(draw.draw(st.tuples(*2 * [st.integers(0, len(whole))])))
    assert read(packed.part(start, stop)) == whole[start:stop]

    some = draw.draw(st.sets(st.integers(0, len(whole) - 1))) if whole else set()
    others = {index: draw.draw(st.binary(min_size=1)) for index in sorted(some)}
    replaced = packed.replaced(np.array(sorted(some), np.int64), list(others.values()))
    assert read(replaced) == [others.get(index, data) for index, data in enumerate(whole)]
