"""Each command: what it asks of the API, and what a person reads."""

import json
from pathlib import Path
from typing import Any

POLICY = 'name = "laundry"\nkind = "image-classification"\nlabels = ["good", "defect"]\n'
MODEL = {
    "name": "laundry",
    "kind": "image-classification",
    "labels": ["good", "defect"],
    "policy": {"name": "laundry", "trigger": {"min_corrections": 100, "paused": False}},
    "policy_digest": "sha256:" + "a" * 64,
    "revision": 4,
    "active": {
        "release": "r-2",
        "generation": 9,
        "model_version": "1.2.0",
        "deployed_at": "2026-05-01T10:00:00.123Z",
    },
    "corrections": {"effective": 12, "needed": 100},
    "run": {"id": "run-1", "state": "TRAINING"},
    "last_decision": {"fire": False, "rule": "count", "reason": "12 of 100 corrections"},
}
RELEASE = {
    "id": "r-1",
    "model": "laundry",
    "model_version": "1.1.0",
    "state": "ACTIVE",
    "generation": 10,
    "run": "run-0",
    "previous": None,
    "created_at": "2026-05-01T09:00:00Z",
    "deployed_at": "2026-05-01T11:00:00Z",
    "ended_at": None,
    "reason": "defects slip through",
}


def test_model_apply_makes_a_new_model(
    terminal: Any, platform: Any, answered: Any, tmp_path: Path
) -> None:
    file = tmp_path / "laundry.toml"
    file.write_text(POLICY, encoding="utf-8")
    platform.on("PUT", "/v1/models/laundry", answered(MODEL, 201, {"ETag": '"1"'}))
    result = terminal.run("model", "apply", str(file))
    assert result.exit_code == 0
    assert f"laundry applied: {MODEL['policy_digest']}" in result.stdout
    (sent,) = platform.said_to("PUT", "/v1/models/laundry")
    assert sent.body.decode() == POLICY
    assert sent.headers["content-type"] == "application/toml"
    assert "if-match" not in sent.headers


def test_model_apply_changes_a_model_only_as_it_was_read(
    terminal: Any, platform: Any, answered: Any, tmp_path: Path
) -> None:
    file = tmp_path / "laundry.toml"
    file.write_text(POLICY, encoding="utf-8")
    platform.on("GET", "/v1/models/laundry", answered(MODEL, 200, {"ETag": '"4"'}))
    platform.on("PUT", "/v1/models/laundry", answered(MODEL, 200, {"ETag": '"4"'}))
    result = terminal.run("model", "apply", str(file))
    assert "laundry is as it was" in result.stdout
    assert platform.said_to("PUT", "/v1/models/laundry")[0].headers["if-match"] == '"4"'


def test_model_apply_refuses_a_mistake_before_anything_is_sent(
    terminal: Any, platform: Any, tmp_path: Path
) -> None:
    file = tmp_path / "laundry.toml"
    file.write_text(POLICY + "[trigger]\nmin_correction = 3\n", encoding="utf-8")
    result = terminal.run("model", "apply", str(file))
    assert result.exit_code == 1
    assert "✗ policy.invalid" in result.stderr
    assert "min_correction" in result.stderr
    assert platform.asked == []


def test_model_list_and_show_tell_what_serves_and_how_far_the_next_training_is(
    terminal: Any, platform: Any, answered: Any
) -> None:
    platform.on("GET", "/v1/models", {"items": [MODEL]})
    platform.on("GET", "/v1/models/laundry", answered(MODEL, 200, {"ETag": '"4"'}))
    listed = terminal.run("model", "list").stdout
    for part in ("laundry", "1.2.0", "2026-05-01 10:00:00Z", "12 of 100", "TRAINING"):
        assert part in listed
    platform.on("GET", "/v1/models/laundry/live", {"items": []})
    shown = terminal.run("model", "show", "laundry").stdout
    assert "12 of 100 corrections" in shown
    assert "min_corrections 100, paused no" in shown
    assert terminal.json("model", "show", "laundry") == MODEL


def test_a_model_that_never_trained_is_shown_too(terminal: Any, platform: Any) -> None:
    fresh = {**MODEL, "active": None, "run": None, "last_decision": None}
    platform.on("GET", "/v1/models/laundry", fresh)
    platform.on("GET", "/v1/models", {"items": [fresh]})
    platform.on("GET", "/v1/models/laundry/live", {"items": []})
    assert terminal.run("model", "show", "laundry").exit_code == 0
    assert terminal.run("model", "list").exit_code == 0


def test_datasets_are_listed_and_shown(terminal: Any, platform: Any) -> None:
    dataset = {
        "id": "laundry@3",
        "model": "laundry",
        "number": 3,
        "digest": "sha256:" + "b" * 64,
        "policy_digest": "sha256:" + "a" * 64,
        "parent": "laundry@2",
        "offsets": {"0": 400, "sql.laundry.tasks": 12},
        "counts": {"train": {"good": 80, "defect": 40}, "holdout": {"good": 20, "defect": 9}},
        "corrections": 31,
        "created_at": "2026-05-01T10:00:00Z",
        "left_out": {"duplicate": 2},
        "epoch": 2,
        "spent": True,
    }
    worn = {
        "epoch": 2, "examples": 29, "source": "", "looks": 50, "allowed": 50, "spent": True,
        "rotation": None,
    }  # fmt: skip
    platform.on("GET", "/v1/datasets", {"items": [dataset]})
    advice = {"duplicate": "Nothing to do."}
    seen = dataset | {"holdout": worn, "models": ["1.2.0"], "advice": advice}
    platform.on("GET", "/v1/datasets/laundry@3", seen)
    tasks = {"kind": "sql", "name": "tasks", "records": 12, "watermark": "2026-04-30", "key": "77"}
    sources = [{"kind": "raw_log", "records": 412}, tasks]
    platform.on("GET", "/v1/datasets/laundry@3/manifest", {"sources": sources})
    listed = terminal.run("dataset", "list", "--model", "laundry").stdout
    assert "train 120, holdout 29" in listed
    assert "2 (spent)" in listed
    assert platform.asked[-1].query == {"model": "laundry"}
    shown = terminal.run("dataset", "show", "laundry@3").stdout
    assert "good 80, defect 40" in shown
    assert "Nothing to do." in shown
    assert "12 rows, up to 2026-04-30 (key 77)" in shown
    assert terminal.json("dataset", "show", "laundry@3")["sources"] == [tasks]
    assert "50 of 50 at 29 examples; spent: the next version begins a new epoch" in shown


def test_jobs_are_listed_shown_cancelled_and_their_log_is_printed(
    terminal: Any, platform: Any, answered: Any
) -> None:
    job = {
        "id": "job-1",
        "run": "run-1",
        "model": "laundry",
        "dataset": "laundry@3",
        "trainer": "image-classifier",
        "state": "RUNNING",
        "attempt": 1,
        "max_attempts": 4,
        "progress": 0.5,
        "metrics": {"accuracy": 0.91234},
        "artifacts": [],
        "details": {},
        "failure": None,
        "trace_id": "c" * 32,
        "queued_at": "2026-05-01T10:00:00Z",
        "started_at": "2026-05-01T10:00:01Z",
        "heartbeat_at": None,
        "completed_at": None,
    }
    platform.on("GET", "/v1/jobs", {"items": [job]})
    platform.on("GET", "/v1/jobs/job-1", job)
    platform.on("GET", "/v1/jobs/job-1/log", answered(b"epoch 1\nepoch \x1b[2J2\n"))
    platform.on("POST", "/v1/jobs/job-1/cancel", {**job, "state": "CANCELLED"})
    assert "50%" in terminal.run("job", "list").stdout
    assert "accuracy 0.9123" in terminal.run("job", "show", "job-1").stdout
    assert (
        terminal.run("job", "log", "job-1").stdout
        == "epoch 1\nepoch \N{REPLACEMENT CHARACTER}[2J2\n"
    )
    cancelled = terminal.run("job", "cancel", "job-1", "--reason", "wrong data")
    assert "job-1 CANCELLED" in cancelled.stdout
    assert platform.asked[-1].json == {"reason": "wrong data"}


def test_releases_are_listed_and_shown(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/releases", {"items": [RELEASE]})
    platform.on("GET", "/v1/releases/r-1", RELEASE)
    assert "ACTIVE" in terminal.run("release", "list").stdout
    assert "defects slip through" in terminal.run("release", "show", "r-1").stdout


def test_rollback_names_the_generation_that_it_was_decided_on(
    terminal: Any, platform: Any, answered: Any, refused: Any
) -> None:
    active = {**RELEASE, "id": "r-2"}
    platform.on("GET", "/v1/models/laundry/release", answered(active, 200, {"ETag": '"9"'}))
    platform.on(
        "POST",
        "/v1/models/laundry/rollback",
        RELEASE,
        refused(412, "state.stale", "The generation is 11, not 9."),
    )
    words = ("rollback", "laundry", "--reason", "defects slip through")
    first = terminal.run(*words)
    assert "laundry serves 1.1.0 again (release r-1)" in first.stdout
    assert platform.asked[-1].headers["if-match"] == '"9"'
    assert platform.asked[-1].json == {"reason": "defects slip through"}
    second = terminal.run(*words)
    assert second.exit_code == 1
    assert "state.stale" in second.stderr


def test_predict_sends_the_bytes_as_what_they_are(
    terminal: Any, platform: Any, tmp_path: Path
) -> None:
    answer = {
        "model": "laundry",
        "model_version": "1.2.0",
        "release": "r-2",
        "generation": 9,
        "prediction_id": "9.abc",
        "label": "defect",
        "confidence": 0.873,
        "probabilities": {"good": 0.127, "defect": 0.873},
        "payload_sha256": "sha256:00",
    }
    platform.on("POST", "/v1/models/laundry/predict", answer)
    photo, unknown = tmp_path / "a.png", tmp_path / "b"
    photo.write_bytes(b"\x89PNG")
    unknown.write_bytes(b"?")
    shown = terminal.run("predict", "laundry", str(photo)).stdout
    assert "defect (87.3%)" in shown
    assert "9.abc" in shown
    lines = terminal.run("predict", "laundry", str(photo), str(unknown), "--json").stdout
    assert [json.loads(line) for line in lines.splitlines()] == [answer, answer]
    kinds = [request.headers["content-type"] for request in platform.asked]
    assert kinds == ["image/png", "image/png", "application/octet-stream"]
    assert platform.asked[0].body == b"\x89PNG"


def test_watch_prints_events_as_they_come(terminal: Any, platform: Any, answered: Any) -> None:
    events = [
        {
            "id": number,
            "type": kind,
            "model": "laundry",
            "subject": "run-1",
            "at": "2026-05-01T10:00:00Z",
            "trace_id": "c" * 32,
            "data": {"note": "[red]x\x1b[2J\n"},
        }
        for number, kind in ((4, "RunStarted"), (5, "ModelDeployed"))
    ]
    text = "".join(f"id: {event['id']}\ndata: {json.dumps(event)}\n\n" for event in events)
    platform.on("GET", "/v1/events", answered(text.encode()))
    shown = terminal.run("watch", "--model", "laundry", "--limit", "2").stdout
    assert [line.split()[2] for line in shown.splitlines()] == ["RunStarted", "ModelDeployed"]
    assert "note [red]x\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\n" in shown
    lines = terminal.run("watch", "--after", "3", "--limit", "2", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == events
    assert platform.asked[-1].headers["last-event-id"] == "3"


def test_doctor_is_content_when_all_is_well(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/readyz", {"status": "ok"})
    platform.on("GET", "/v1/models", {"items": []})
    checks = terminal.json("doctor")["checks"]
    assert {check["state"] for check in checks} == {"ok"}
    names = ["control", "ingest", "serve", "worker", "token", "disk", "versions"]
    assert [check["check"] for check in checks] == names


def test_doctor_names_what_is_not_well_and_what_to_do(
    terminal: Any, platform: Any, answered: Any, refused: Any
) -> None:
    not_ready = {"status": "not ready", "reasons": ["the spool is full"]}
    platform.on("GET", "/readyz", answered(not_ready, 503))
    platform.on("GET", "/v1/models", refused(401, "auth.invalid", "The token is not one of ours."))
    result = terminal.run("doctor")
    assert result.exit_code == 1
    assert "not ready: the spool is full" in result.stdout
    assert "auth.invalid" in result.stdout
    gone = terminal.run("doctor", "--url", "http://127.0.0.1:1")
    assert gone.exit_code == 3
    assert "starts every role" in gone.stdout
