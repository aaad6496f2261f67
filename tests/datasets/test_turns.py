"""A walk along the turns of an actor's corrections meets what a look at all of them would."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.datasets import turns
from burnish.datasets.lines import Mask, Numbers
from burnish.datasets.turns import Queue, Turn, Turns, nearest

PEOPLE = ("kim", None, "lee")


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_CHUNK", 2)


def drawn(random: Random, first: int, count: int) -> Turns:
    """Draw lines of some people, many of them at once."""
    queue = Queue(
        happened=np.array([random.randrange(8) for _ in range(count)], np.int64),
        identities=np.array([random.randrange(2**64 - 4, 2**64) for _ in range(count)], np.uint64),
        lines=np.arange(first, first + count),
    )
    return Turns.of(PEOPLE, np.array([random.randrange(3) for _ in range(count)], np.uint32), queue)


def met(queue: Queue) -> list[tuple[Turn, int]]:
    return [(queue.turn(place), int(line)) for place, line in enumerate(queue.lines)]


@given(seed=st.integers(0, 2**32), onward=st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_nearest_accepted_lines_are_met_in_however_many_parts_they_lie(
    seed: int, onward: bool
) -> None:
    random = Random(seed)
    parts = [drawn(random, 100 * part, random.randrange(20)) for part in range(random.randrange(4))]
    actor = random.choice([*PEOPLE, "nobody"])
    start = random.choice([None, (random.randrange(8), random.randrange(2**64 - 4, 2**64))])
    count = random.randrange(6)
    refused = {line for line in range(400) if random.random() < 0.3}

    def accept(lines: Numbers) -> Mask:
        return ~np.isin(lines, list(refused))

    found = met(nearest([part.by(actor) for part in parts], start, count, accept, onward=onward))
    ahead = [
        one
        for part in parts
        for one in met(part.by(actor))
        if one[1] not in refused
        and (not onward if start is None else one[0] >= start if onward else one[0] <= start)
    ]
    ahead.sort()
    wanted = ahead[:count] if onward else ahead[max(0, len(ahead) - count) :]
    assert [turn for turn, _ in found] == [turn for turn, _ in wanted]
    assert len({line for _, line in found}) == len(found) <= count
    assert set(found) <= set(ahead)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_parts_that_are_joined_and_cut_again_are_what_they_were(seed: int) -> None:
    random = Random(seed)
    parts = [drawn(random, 0, 12), drawn(random, 12, 0), drawn(random, 12, 20)]
    whole = Turns.joined(parts)
    for actor in PEOPLE:
        assert met(whole.between(0, 12).by(actor)) == met(parts[0].by(actor))
        assert met(whole.between(12, 32).by(actor)) == met(parts[2].by(actor))
