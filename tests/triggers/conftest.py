"""A model's small policy, people who correct it, and runs that end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from burnish.feedback.model import FeedbackRecord
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline.model import RunEvent
from burnish.pipeline.service import move
from support.samples import policy as laundry

About = Callable[..., FeedbackRecord]
World = Any  # of tests/conftest.py
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def policy(**trigger: object) -> ModelPolicy:
    return laundry(
        trigger={"min_corrections": 10, "min_days": 7, "urgent_corrections": 30} | trigger,
        # Nobody looks at these photos, which are none.
        dataset={"holdout_source": "gold", "validation": 0.2, "near_duplicate": "off"},
    )


def people_correct(world: World, about: About, first: int, count: int, **changes: Any) -> None:
    said = [about(f"s{number}", "good", **changes) for number in range(first, first + count)]
    world.say(*said)
    world.project()


def finish_run(world: World, run: str) -> None:
    with world.unit() as unit:
        move(unit, unit.runs.get(run), RunEvent.CANCEL, now=world.now)
        unit.commit()


@pytest.fixture
def rules(world: World) -> ModelPolicy:
    applied: ModelPolicy = world.apply(policy())
    return applied
