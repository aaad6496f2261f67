"""`burnish run`: started, decided, and watched to its end."""

import json
from typing import Any

import pytest


def a_run(state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "run-1",
        "model": "laundry",
        "state": state,
        "revision": 3,
        "cause": {"rule": "operator", "reason": "new camera", "corrections": 120},
        "offsets": {"0": 10},
        "policy_digest": "sha256:00",
        "dataset": None,
        "job": None,
        "candidate": None,
        "evaluation": None,
        "release": None,
        "failed_step": None,
        "failure": None,
        "trace_id": "c" * 32,
        "created_at": "2026-05-01T10:00:00Z",
        "ended_at": None,
        "steps": [],
        **more,
    }


def a_step(name: str, state: str, **detail: Any) -> dict[str, Any]:
    ended = "2026-05-01T10:00:05Z" if state == "DONE" else None
    return {
        "step": name,
        "state": state,
        "started_at": "2026-05-01T10:00:00Z",
        "ended_at": ended,
        "detail": detail,
    }


COLLECTED = a_step("collect", "DONE", examples=120)
STORY = [
    a_run("COLLECTING", steps=[a_step("collect", "RUNNING")]),
    a_run("TRAINING", steps=[COLLECTED, a_step("train", "RUNNING")]),
    a_run("AWAITING_APPROVAL", steps=[COLLECTED, a_step("train", "DONE")], candidate="1.3.0"),
    a_run("SUCCEEDED", steps=[COLLECTED, a_step("train", "DONE")], candidate="1.3.0"),
]
UNATTENDED = [run for run in STORY if run["state"] != "AWAITING_APPROVAL"]


def test_runs_are_listed_and_shown(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/runs", {"items": STORY[:1]})
    platform.on("GET", "/v1/runs/run-1", STORY[1])
    assert "new camera" in terminal.run("run", "list", "--model", "laundry").stdout
    assert platform.asked[-1].query == {"model": "laundry", "limit": "20"}
    shown = terminal.run("run", "show", "run-1").stdout
    assert "operator: new camera" in shown
    assert "DONE  2026-05-01 10:00:00Z → 2026-05-01 10:00:05Z" in shown
    assert terminal.json("run", "show", "run-1") == STORY[1]


def test_a_run_is_started_with_its_reason(terminal: Any, platform: Any, answered: Any) -> None:
    platform.on("POST", "/v1/models/laundry/runs", answered(STORY[0], 202))
    result = terminal.run("run", "start", "laundry", "--reason", "new camera")
    assert "run-1 COLLECTING" in result.stdout
    assert platform.asked[-1].json == {"reason": "new camera"}


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel"])
def test_a_decision_counts_only_on_what_was_decided_about(
    terminal: Any, platform: Any, answered: Any, refused: Any, verb: str
) -> None:
    platform.on("GET", "/v1/runs/run-1", answered(STORY[2], 200, {"ETag": '"3"'}))
    stale = refused(412, "state.stale", "The revision is 4, not 3.")
    platform.on("POST", f"/v1/runs/run-1/{verb}", a_run("RELEASING"), stale)
    words = ("run", verb, "run-1", "--reason", "looked at it")
    assert "run-1 RELEASING" in terminal.run(*words).stdout
    assert platform.asked[-1].headers["if-match"] == '"3"'
    assert platform.asked[-1].json == {"reason": "looked at it"}
    assert terminal.run(*words).exit_code == 1


def test_following_a_run_ends_where_a_person_is_needed(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/runs/run-1", *STORY)
    result = terminal.run("run", "follow", "run-1")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split()[:4] == ["waits", "for", "a", "person:"]


def test_following_a_run_tells_each_change_once_and_ends_with_it(
    terminal: Any, platform: Any
) -> None:
    platform.on("GET", "/v1/runs/run-1", *UNATTENDED)
    result = terminal.run("run", "follow", "run-1")
    assert result.exit_code == 0
    told = [line.split() for line in result.stdout.splitlines()]
    assert told == [
        ["laundry", "run", "run-1:", "new", "camera"],
        ["collect", "RUNNING"],
        ["collect", "DONE", "examples", "120"],
        ["train", "RUNNING"],
        ["train", "DONE"],
        ["SUCCEEDED", "1.3.0"],
    ]


def test_a_run_that_ends_otherwise_exits_with_1(terminal: Any, platform: Any) -> None:
    failed = a_run(
        "FAILED", job="job-1", failure={"code": "train.failed", "message": "out of memory"}
    )
    job = {
        "attempt": 4,
        "max_attempts": 4,
        "progress": 0.1,
        "failure": {"code": "oom", "message": "too big"},
    }
    platform.on("GET", "/v1/runs/run-1", failed)
    platform.on("GET", "/v1/jobs/job-1", job)
    result = terminal.run("run", "follow", "run-1")
    assert result.exit_code == 1
    assert "out of memory" in result.stdout
    assert "attempt 4 of 4" in result.stdout


def test_with_json_each_change_is_the_run_as_it_then_was(terminal: Any, platform: Any) -> None:
    platform.on("POST", "/v1/models/laundry/runs", STORY[0])
    platform.on("GET", "/v1/runs/run-1", *UNATTENDED)
    result = terminal.run("run", "start", "laundry", "--reason", "r", "--follow", "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == UNATTENDED
