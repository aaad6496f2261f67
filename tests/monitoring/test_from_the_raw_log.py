"""From people's records in the raw log to what replicas are told to serve."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from burnish.adapters.system import new_id
from burnish.feedback.model import FeedbackRecord
from burnish.feedback.prediction import Prediction
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import ReleaseId, RunId
from burnish.kernel.policy import policy_of
from burnish.monitoring.service import Monitor
from burnish.releases import service as releases
from burnish.releases.assignment import assignment
from burnish.releases.model import Release, ReleaseState

SECOND = timedelta(seconds=1)
About = Callable[..., FeedbackRecord]
World = Any  # of tests/support/world.py


def release(world: World, version: str, generation: int) -> Release:
    world.now += SECOND  # versions are told apart by the time of their training
    run = RunId(new_id())
    releases.register(
        world.unit(),
        run=run,
        model="laundry",
        dataset="laundry@1",
        artifact={"key": f"artifacts/{run}", "sha256": "sha256:" + "0" * 64, "bytes": 1},
        metrics={},
        labels=("good", "defect"),
        now=world.now,
    )
    opened = releases.open_release(
        world.unit(),
        id_=ReleaseId(new_id()),
        model="laundry",
        version=version,
        run=run,
        now=world.now,
    )
    return releases.promote(
        world.unit(), opened.id, expected=generation - 1, actor=SYSTEM, reason="passed"
    )


def people_judge(world: World, about: About, judged: Release, *, right: int, wrong: int) -> None:
    ids = [f"{judged.generation}.{new_id()}" for _ in range(right + wrong)]
    world.predictions.append(
        [
            Prediction(
                id=id_,
                model="laundry",
                release=judged.id,
                generation=judged.generation or 0,
                model_version=judged.model_version,
                label="good",
                confidence=0.9,
                at=world.now,
            )
            for id_ in ids
        ]
    )
    world.say(
        *(
            about(
                id_,
                "good" if place < right else "defect",
                corrected=place >= right,
                predicted="good",
                prediction_id=id_,
                selection="random",
            )
            for place, id_ in enumerate(ids)
        )
    )


def told(world: World) -> Any:
    with world.unit() as reading:
        return assignment(reading).models["laundry"]


def test_verdicts_in_the_raw_log_take_a_bad_release_back_for_good(
    world: World, about: About
) -> None:
    world.apply(
        policy_of({"name": "laundry", "kind": "image-classification", "labels": ["good", "defect"]})
    )
    monitor = Monitor(units=world.unit, views=world.view)
    first, bad = release(world, "1.0.0", 1), release(world, "1.1.0", 2)

    people_judge(world, about, bad, right=12, wrong=28)
    monitor.look()
    assert told(world).active.release == bad.id  # it lies in the log, but nobody has read it yet
    world.project()
    monitor.look()
    now = told(world)
    assert (now.active.release, now.active.generation, now.previous) == (first.id, 3, None)

    third = release(world, "1.2.0", 4)
    people_judge(world, about, third, right=0, wrong=40)
    people_judge(world, about, bad, right=40, wrong=0)  # too late: withdrawn is an end
    world.project()
    monitor.look()
    now = told(world)
    assert (now.active.release, now.active.generation) == (first.id, 5)
    with world.unit() as reading:
        states = {found.id: found.state for found in reading.releases.history("laundry")}
    assert states[bad.id] is states[third.id] is ReleaseState.WITHDRAWN
