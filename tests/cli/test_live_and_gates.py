"""`burnish live`, `burnish evaluation show`, `burnish run override`: what a person reads."""

from collections.abc import Callable
from typing import Any

import pytest

EVIDENCE = {"line": 0.8, "sampled": 312.5, "reported": 0.1, "needed": 200.0, "crossed": True}
LIVE = {
    "model": "laundry",
    "alert": 0.85,
    "rollback": 0.8,
    "min_outcomes": 20,
    "items": [
        {
            "release": "r2",
            "model_version": "1.1.0",
            "state": "ACTIVE",
            "generation": 2,
            "predictions": 400,
            "outcomes": 40,
            "coverage": 0.1,
            "right": 15,
            "sampled": 40,
            "accuracy": 0.375,
            "low": 0.242,
            "high": 0.529,
            "at_most": 0.9375,
            "alert": {**EVIDENCE, "line": 0, "crossed": False},
            "rollback": EVIDENCE,
        },
        {
            "release": "r1",
            "model_version": "1.0.0",
            "state": "RETIRED",
            "generation": 1,
            "predictions": 0,
            "outcomes": 0,
            "coverage": 0.0,
            "right": 0,
            "sampled": 0,
            "accuracy": None,
            "low": None,
            "high": None,
            "at_most": None,
            "alert": {**EVIDENCE, "sampled": 1.0, "crossed": False},
            "rollback": {**EVIDENCE, "sampled": 1.0, "crossed": False},
        },
    ],
}
GATE = {
    "gate": "better",
    "verdict": "FAIL",
    "value": 0.0123,
    "threshold": 0.9,
    "low": None,
    "high": None,
    "n": 100,
    "reason": "fixes 1, breaks 40: worse than the model now serving",
}
REPORT = {
    "id": "e1",
    "run": "run-1",
    "model": "laundry",
    "candidate": "1.1.0",
    "champion": "1.0.0",
    "verdict": "FAIL",
    "gates": [
        {**GATE, "gate": "validation", "verdict": "PASS", "threshold": 0, "low": 0.8, "high": 0.95},
        GATE,
    ],
    "holdout": {"n": 100, "accuracy": 0.4, "low": 0.3, "high": 0.5, "champion_accuracy": 0.8},
    "paired": {"fixes": 1, "breaks": 40, "p_better": 0.0123},
    "confusion": {"good": {"good": 20, "defect": 31}, "defect": {"good": 32, "defect": 17}},
    "newly_right": ["p1"],
    "newly_wrong": [f"q{number}" for number in range(12)],
    "created_at": "2026-05-01T10:00:00Z",
    "performance": {
        "failure": None,
        "mean_ms": 20.5,
        "p50_ms": 18.0,
        "p95_ms": 30.0,
        "p99_ms": 45.0,
        "throughput": 61.0,
        "memory_mb": 151.0,
        "load_seconds": 0.25,
    },
}


def test_live_shows_each_release_with_its_evidence(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/models/laundry/live", LIVE)
    shown = terminal.run("live", "laundry").stdout
    for part in (
        "0.375 (0.242 to 0.529, 40 drawn at random)",
        "40 of 400 (10.0%)",
        "0.8: 312 of 200, crossed",
        "no line",
        "unknown: none of 0 outcomes was drawn at random",
    ):
        assert part in shown
    assert terminal.json("live", "laundry") == LIVE


def test_a_report_shows_every_gate_and_what_changed_sides(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/evaluations/e1", REPORT)
    shown = terminal.run("evaluation", "show", "e1").stdout
    for part in (
        "0.400 (0.300 to 0.500, n 100)",
        "fixes 1, breaks 40, P(better) 0.012",
        "20.5 ms (p50 18.0, p95 30.0, p99 45.0), 61 requests/s, 151 MB",
        "0.800 to 0.950",
        "off",
        "fixes 1, breaks 40: worse than the model now serving",
        "newly right: 1 (p1)",
        "newly wrong: 12 (q0, q1, q2, q3, q4, q5, q6, q7, q8, q9 and 2 more)",
    ):
        assert part in shown
    assert terminal.json("evaluation", "show", "e1") == REPORT


@pytest.mark.parametrize(
    ("measured", "part"),
    [(None, "none: it is the first"), ({"failure": "no answer within 60 s"}, "no answer within")],
)
def test_a_first_model_and_one_that_could_not_be_measured_are_shown_too(
    terminal: Any, platform: Any, measured: Any, part: str
) -> None:
    first = {**REPORT, "champion": None, "paired": None, "performance": measured}
    platform.on("GET", "/v1/evaluations/e1", first)
    shown = terminal.run("evaluation", "show", "e1").stdout
    assert part in shown
    assert "newly" not in shown


def test_an_override_names_the_new_run(
    terminal: Any, platform: Any, answered: Any, refused: Callable[..., Any]
) -> None:
    platform.on("GET", "/v1/runs/run-1", answered({"id": "run-1"}, 200, {"ETag": '"7"'}))
    platform.on(
        "POST",
        "/v1/runs/run-1/override",
        answered({"id": "run-2", "state": "READY_FOR_RELEASE"}, 202),
        refused(409, "run.not_overridable", "No gate keeps it out."),
    )
    done = terminal.run("run", "override", "run-1", "--reason", "the holdout is stale")
    assert done.stdout == "run-2 READY_FOR_RELEASE\n"
    (asked,) = platform.said_to("POST", "/v1/runs/run-1/override")
    assert (asked.headers["if-match"], asked.json) == ('"7"', {"reason": "the holdout is stale"})
    again = terminal.run("run", "override", "run-1", "--reason", "the holdout is stale")
    assert again.exit_code == 1
    assert "run.not_overridable" in again.stderr
