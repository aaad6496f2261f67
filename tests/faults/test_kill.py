"""kill -9 at random moments under load: what was acknowledged is in the raw log, once."""

import random
import time
from collections.abc import Callable

import pytest

from support import raw_reader
from support.intake import Intake, Load

KILLS = 40
LONGEST_LIFE_S = 0.3


def killed_under_load(intake: Intake, kills: int) -> dict[str, bytes]:
    """Kill it so many times at random moments; return what was acknowledged."""
    chance = random.Random(4)
    intake.start()
    with Load(intake) as load:
        for _ in range(kills):
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
            intake.kill()
            intake.start()
    intake.seal()
    return load.acknowledged


def test_a_kill_at_any_moment_under_load_loses_and_doubles_nothing(
    make_intake: Callable[..., Intake],
) -> None:
    intake = make_intake(seal_seconds=0.05, segment_bytes=20_000)
    acknowledged = killed_under_load(intake, KILLS)
    assert len(acknowledged) > 10 * KILLS
    raw_reader.check(raw_reader.lines_of(raw_reader.local(intake.data / "objects")), acknowledged)


def test_a_second_process_on_the_same_spool_refuses_and_leaves_the_first_alone(
    make_intake: Callable[..., Intake],
) -> None:
    first = make_intake()
    first.start()
    second = make_intake(first.data)
    with pytest.raises(AssertionError, match="in use by another process"):
        second.start()
    assert first.send(1)[0] == 202
    assert first.seal() == 1
