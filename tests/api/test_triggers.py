"""Triggers over HTTP, beside a worker that follows feedback: explained, paused, asked, replayed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from burnish.adapters.system import utc_now
from burnish.bootstrap.following import Follower
from burnish.pipeline import service as runs
from burnish.pipeline.model import RunEvent
from support.persisting import persist
from support.plane import POLICY, Plane
from support.world import record

Problem = Callable[..., dict[str, Any]]
PATH = "/v1/models/laundry/trigger"
UNSEEN = POLICY + '[dataset]\nnear_duplicate = "off"\n'  # nobody looks at photos here
SMALL = UNSEEN + "[trigger]\nmin_corrections = 4\nmin_days = 0\nurgent_corrections = 1000\n"


class Worker:
    """The part of a worker that follows feedback, and what people say meanwhile."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.follower = Follower(plane.house)

    def hears(self, *subjects: str, **changes: Any) -> None:
        """Persist a correction on each subject, and look."""
        said = {"final": "good"} | changes
        persist(self.plane.house, *(record(subject, **said) for subject in subjects))
        self.follower.look()

    def run_ends(self) -> None:
        unit = self.plane.house.unit()
        with unit:
            run = unit.runs.active("laundry")
            assert run is not None
            runs.move(unit, run, RunEvent.CANCEL, now=utc_now())
            unit.commit()
        self.follower = Follower(self.plane.house)  # considers every model at its first look
        self.follower.look()


@pytest.fixture
def worker(plane: Plane) -> Worker:
    return Worker(plane)


def explained(plane: Plane) -> dict[str, Any]:
    answer = plane.ask("GET", PATH)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_model_says_in_a_sentence_where_it_stands(plane: Plane, worker: Worker) -> None:
    plane.apply(UNSEEN)
    assert explained(plane)["sentence"] == (
        "no corrections to learn from; 0 of 100 corrections, never trained"
    )
    worker.hears("a", "b", actor="kim")
    worker.hears("a", id="again", final="defect", actor="lee")
    found = explained(plane)
    assert found["sentence"] == (
        "1 of 100 corrections, never trained; 2 records did not count: 2 contradictions"
    )
    assert (found["fire"], found["pending"], found["records"]) == (False, False, 3)
    assert found["facts"]["tally"]["left_out"] == {"contradiction": 2}
    (listed,) = plane.ask("GET", "/v1/triggers").json()["items"]
    assert listed["sentence"] == found["sentence"]
    newest = plane.ask("GET", "/v1/models/laundry/decisions").json()["items"][0]
    assert newest["reason"] == found["sentence"]
    assert newest["offsets"] == {"0": 3}


def test_what_a_policy_cannot_say_is_named_with_its_fix(plane: Plane, problem: Problem) -> None:
    for section, said in (
        ("min_corections = 5", "trigger.min_corections is 5: there is no such key: did you mean"),
        ('min_days = "7"', "trigger.min_days is '7': expected `float`, got `str`"),
        ('window = "1-5 Asia/Seoul"', "trigger.window is '1-5 Asia/Seoul': write it as in"),
        ('window = "01:00-05:00 Asia/Soul"', "'Asia/Soul' is no zone of this machine"),
        ('every = "hour"', "trigger.every is 'hour': write \"day\""),
        ("window_strict = true", "trigger.window_strict is True: say which window"),
    ):
        answer = plane.apply(f"{POLICY}[trigger]\n{section}\n")
        assert said in problem(answer, 422, "policy.invalid")["detail"]


def test_triggers_are_paused_and_resumed_by_name_with_a_reason(
    plane: Plane, worker: Worker, problem: Problem
) -> None:
    plane.apply(SMALL)
    why = {"reason": "import under way", "triggers": ["corrections", "urgent"]}
    paused = plane.ask("POST", f"{PATH}/pause", json=why).json()["items"]
    assert [one["trigger"] for one in paused] == ["corrections", "urgent"]
    for number in range(4):
        worker.hears(f"s{number}", actor=f"person-{number}")
    held = explained(plane)
    assert held["decision"]["hold"] == "paused"
    assert held["sentence"].endswith("; paused by admin: import under way")
    resumed = plane.ask("POST", f"{PATH}/resume", json={"reason": "it is done"})
    assert resumed.json() == {"items": []}
    worker.follower = Follower(plane.house)
    worker.follower.look()
    assert plane.ask("GET", "/v1/models/laundry/decisions").json()["items"][0]["fire"]
    actions = [row["action"] for row in plane.ask("GET", "/v1/audit").json()["items"]]
    assert {"trigger.paused", "trigger.resumed"} < set(actions)
    problem(plane.ask("POST", f"{PATH}/pause", json={"reason": " "}), 422, "trigger.no_reason")
    wrong = {"reason": "x", "triggers": ["operator"]}
    problem(plane.ask("POST", f"{PATH}/pause", json=wrong), 422, "trigger.unknown")
    missing = "/v1/models/nobody/trigger"
    problem(plane.ask("GET", missing), 404, "model.unknown")
    problem(plane.ask("POST", f"{missing}/pause", json={"reason": "x"}), 404, "model.unknown")


def test_a_run_asked_for_waits_for_the_one_under_way_and_has_the_newest_records(
    plane: Plane, worker: Worker, problem: Problem
) -> None:
    plane.apply()
    worker.hears("a")
    first = plane.ask("POST", f"{PATH}/run", json={"reason": "new labels"})
    assert (first.status_code, first.json()["fire"]) == (202, True)
    second = plane.ask("POST", f"{PATH}/run", json={"reason": "newer labels"})
    assert (second.status_code, second.json()["hold"]) == (202, "run")
    refused = plane.ask("POST", "/v1/models/laundry/runs", json={"reason": "now"})
    assert "`burnish trigger run` waits" in problem(refused, 409, "run.active")["detail"]
    worker.hears("b", "c")
    worker.run_ends()
    begun = plane.ask("GET", "/v1/runs").json()["items"][0]
    assert begun["offsets"] == {"0": 3}
    assert begun["cause"]["reason"].startswith("asked for by admin: newer labels")
    problem(plane.ask("POST", f"{PATH}/run", json={"reason": ""}), 422, "trigger.no_reason")


def test_a_strict_window_holds_even_a_person_who_is_told_when_it_opens(
    plane: Plane, problem: Problem
) -> None:
    before = utc_now() - timedelta(hours=2)
    window = f"{before:%H:%M}-{before + timedelta(hours=1):%H:%M} UTC"
    plane.apply(f'{POLICY}[trigger]\nwindow = "{window}"\nwindow_strict = true\n')
    refused = plane.ask("POST", "/v1/models/laundry/runs", json={"reason": "now"})
    assert "waits for the window" in problem(refused, 409, "trigger.window")["detail"]
    held = plane.ask("POST", f"{PATH}/run", json={"reason": "tonight"}).json()
    assert (held["hold"], held["fire"]) == ("window", False)


def test_the_past_is_replayed_under_a_policy_before_it_is_saved(
    plane: Plane, worker: Worker, problem: Problem
) -> None:
    plane.apply(SMALL)
    for number in range(10):
        worker.hears(f"s{number}", actor=f"person-{number}")
        if plane.ask("GET", "/v1/models/laundry").json()["run"]:
            worker.run_ends()
    truth = plane.ask("POST", f"{PATH}/replay", json={}).json()
    assert (truth["decisions"], truth["same"]) == (truth["decisions"], truth["decisions"])
    assert truth["changes"] == []
    assert [one["corrections"] for one in truth["did"]] == [4, 4]
    same = plane.ask("POST", f"{PATH}/replay", json={"policy": SMALL}).json()
    assert (same["same"], same["would"]) == (truth["decisions"], truth["did"])
    lower = SMALL.replace("min_corrections = 4", "min_corrections = 3")
    other = plane.ask("POST", f"{PATH}/replay", json={"policy": lower}).json()
    assert other["would"][0]["corrections"] == 3
    assert other["changed"] > 0
    assert explained(plane)["policy_digest"] == same["policy_digest"]  # nothing was saved
    typo = {"policy": SMALL.replace("min_days", "min_dais")}
    refused = problem(plane.ask("POST", f"{PATH}/replay", json=typo), 422, "policy.invalid")
    assert "did you mean trigger.min_days?" in refused["detail"]
    foreign = {"policy": SMALL.replace('"laundry"', '"curtains"')}
    problem(plane.ask("POST", f"{PATH}/replay", json=foreign), 422, "input.invalid")
    problem(plane.ask("POST", f"{PATH}/replay", json={"days": 0}), 422, "input.invalid")


def test_every_route_is_described(plane: Plane) -> None:
    paths = plane.ask("GET", "/v1/openapi.json").json()["paths"]
    for path in ("", "/pause", "/resume", "/run", "/replay"):
        assert f"/v1/models/{{name}}/trigger{path}" in paths
