"""Live accuracy and the operator's override, over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx

from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.system import new_id, utc_now
from burnish.evaluation.model import Evaluation, GateResult, Holdout, Paired, Performance, Verdict
from burnish.feedback.model import Selection
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict as Said
from burnish.pipeline import service as runs
from burnish.pipeline.model import Run, RunEvent
from burnish.releases.model import Release
from support.plane import LIFE, Plane

Problem = Callable[[httpx.Response, int, str], dict[str, Any]]


def judge(plane: Plane, release: Release, *, right: int, wrong: int) -> None:
    """Let a random share of the release's answers be judged."""
    now = utc_now()
    answers = [
        Prediction(
            id=f"{release.generation}.{new_id()}",
            model="laundry",
            release=release.id,
            generation=release.generation or 0,
            model_version=release.model_version,
            label="good",
            confidence=0.9,
            at=now,
        )
        for _ in range(right + wrong)
    ]
    SqlPredictions(plane.house.engine).append(answers)
    unit = plane.house.unit()
    with unit:
        unit.feedback.add(
            [
                Said(
                    source="app",
                    id=answer.id,
                    shard="0",
                    offset=place,
                    model="laundry",
                    subject_id=answer.id,
                    final="good" if place < right else "defect",
                    corrected=place >= right,
                    occurred_at=now,
                    received_at=now,
                    prediction_id=answer.id,
                    selection=Selection.RANDOM,
                )
                for place, answer in enumerate(answers)
            ]
        )
        unit.commit()


def refused(plane: Plane) -> Run:
    """Bring a run to where its gates refuse it, with a report."""
    run = plane.run()
    gate = GateResult(
        gate="better",
        verdict=Verdict.FAIL,
        value=0.01,
        threshold=0.9,
        low=None,
        high=None,
        n=100,
        reason="fixes 1, breaks 40: worse than the model now serving",
    )
    report = Evaluation(
        id=new_id(),
        run=run.id,
        model="laundry",
        candidate="1.1.0",
        champion="1.0.0",
        verdict=Verdict.FAIL,
        gates=(gate,),
        holdout=Holdout(n=100, accuracy=0.4, low=0.3, high=0.5, champion_accuracy=0.8),
        paired=Paired(fixes=1, breaks=40, p_better=0.01),
        confusion={"good": {"good": 20, "defect": 30}, "defect": {"good": 30, "defect": 20}},
        newly_right=("p1",),
        newly_wrong=("p2", "p3"),
        created_at=utc_now(),
        performance=Performance(requests=100, mean_ms=20, p95_ms=30, throughput=60, memory_mb=150),
    )
    unit = plane.house.unit()
    with unit:
        unit.evaluations.add(report)
        for event in LIFE[:-1]:
            run = runs.move(unit, run, event, now=utc_now())
        changes = {"evaluation": report.id, "candidate": "1.1.0"}
        run = runs.move(unit, run, RunEvent.REJECT, now=utc_now(), **changes)
        unit.commit()
    return run


def test_live_accuracy_is_told_per_release_with_the_lines_and_the_evidence(
    plane: Plane, problem: Problem
) -> None:
    problem(plane.ask("GET", "/v1/models/laundry/live"), 404, "model.unknown")
    plane.apply()
    assert plane.ask("GET", "/v1/models/laundry/live").json() == {
        "model": "laundry",
        "alert": 0.85,
        "rollback": 0.8,
        "min_outcomes": 20,
        "items": [],
    }
    plane.released("1.0.0")
    release = plane.released("1.1.0")
    judge(plane, release, right=15, wrong=25)
    newest, oldest = plane.ask("GET", "/v1/models/laundry/live").json()["items"]
    assert (newest["release"], newest["state"], newest["generation"]) == (release.id, "ACTIVE", 2)
    assert (newest["predictions"], newest["outcomes"], newest["coverage"]) == (40, 40, 1.0)
    assert newest["accuracy"] == newest["at_most"] == 0.375
    assert newest["low"] < 0.375 < newest["high"]
    assert newest["rollback"]["line"] == 0.8
    assert newest["rollback"]["crossed"]
    assert newest["rollback"]["sampled"] > newest["rollback"]["needed"] == 200
    assert (oldest["accuracy"], oldest["predictions"], oldest["at_most"]) == (None, 0, None)


def test_an_override_starts_a_new_run_and_is_asked_for_with_a_reason_and_what_was_seen(
    plane: Plane, problem: Problem
) -> None:
    plane.apply()
    run = refused(plane)
    path, why = f"/v1/runs/{run.id}/override", {"reason": "the holdout is stale"}
    seen = {"If-Match": plane.ask("GET", f"/v1/runs/{run.id}").headers["etag"]}
    problem(plane.ask("POST", path, json=why), 428, "request.precondition_required")
    problem(plane.ask("POST", path, json=why, headers={"If-Match": '"1"'}), 412, "state.stale")
    problem(plane.ask("POST", path, json={"reason": ""}, headers=seen), 422, "input.invalid")
    started = plane.ask("POST", path, json=why, headers=seen)
    assert started.status_code == 202
    new = started.json()
    assert (new["state"], new["cause"]["rule"]) == ("READY_FOR_RELEASE", "override")
    assert new["id"] != run.id
    shown = plane.ask("GET", f"/v1/runs/{new['id']}")
    assert shown.headers["etag"] == started.headers["etag"]
    problem(plane.ask("POST", path, json=why, headers=seen), 409, "run.active")
    audited = plane.ask("GET", "/v1/audit?limit=1").json()["items"][0]
    assert (audited["action"], audited["actor"]) == ("run.overridden", "admin")
    assert audited["before"]["gates"]["better"]["value"] == 0.01


def test_what_no_gate_keeps_out_is_not_overridden(plane: Plane, problem: Problem) -> None:
    plane.apply()
    run = plane.awaiting()
    answer = plane.ask(
        "POST",
        f"/v1/runs/{run.id}/override",
        json={"reason": "impatient"},
        headers={"If-Match": f'"{run.revision}"'},
    )
    problem(answer, 409, "run.not_overridable")


def test_the_report_on_a_refused_candidate_stays_to_be_read(plane: Plane) -> None:
    plane.apply()
    run = refused(plane)
    report = plane.ask("GET", f"/v1/evaluations/{run.evaluation}").json()
    assert (report["verdict"], report["newly_wrong"]) == ("FAIL", ["p2", "p3"])
    assert report["gates"][0]["reason"] == "fixes 1, breaks 40: worse than the model now serving"
    assert report["performance"]["p95_ms"] == 30
