"""`burnish feedback tail|journey|quarantine|replay`: what is asked, printed, and exited with."""

import json
from typing import Any

import pytest

ENTRY = {
    "id": "abc-0",
    "key": "quarantine/unknown_label/dt=2026-05-01/abc.ndjson",
    "line": 0,
    "code": "unknown_label",
    "detail": "final is 'ugly': name one of good, defect",
    "received_at": "2026-05-01T10:00:00Z",
    "model": "laundry",
    "source": "app",
    "record_id": "r-1",
    "state": "open",
    "replays": 0,
    "replayed_at": None,
}
COUNT = {
    "code": "unknown_label",
    "model": "laundry",
    "state": "open",
    "entries": 3,
    "oldest": "2026-05-01T10:00:00Z",
    "newest": "2026-05-01T11:00:00Z",
}
VERDICT = {
    "source": "app",
    "id": "r-1",
    "shard": "0",
    "offset": 7,
    "model": "laundry",
    "subject_id": "task-1",
    "final": "defect",
    "corrected": True,
    "occurred_at": "2026-05-01T10:00:00Z",
    "received_at": "2026-05-01T10:00:01.5Z",
    "predicted": "good",
    "actor": "kim",
}


def test_the_list_counts_by_reason_and_asks_page_by_page(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/quarantine/counts", {"items": [COUNT]})
    platform.on(
        "GET",
        "/v1/quarantine",
        {"items": [ENTRY], "next": "abc-0"},
        {"items": [ENTRY | {"id": "abc-1"}], "next": None},
    )
    words = ["feedback", "quarantine", "list", "--code", "unknown_label", "--day", "2026-05-01"]
    result = terminal.run(*words)
    assert result.exit_code == 0
    for said in ("unknown_label", "laundry", "abc-0", "abc-1", "name one of good, defect"):
        assert said in result.stdout
    first, second = platform.said_to("GET", "/v1/quarantine")
    assert first.query == {
        "code": "unknown_label",
        "day": "2026-05-01",
        "status": "open",
        "limit": "20",
    }
    assert second.query["after"] == "abc-0"
    found = terminal.json(*words)
    assert found["counts"] == [COUNT]
    assert len(found["items"]) == 1


def test_an_empty_quarantine_is_said(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/quarantine/counts", {"items": []})
    platform.on("GET", "/v1/quarantine", {"items": [], "next": None})
    assert "The quarantine is empty." in terminal.run("feedback", "quarantine", "list").stdout
    narrowed = terminal.run("feedback", "quarantine", "list", "--code", "bogus").stdout
    assert "Nothing in the quarantine matches." in narrowed
    assert "is empty" not in narrowed


@pytest.mark.parametrize("text", [True, False])
def test_a_record_is_shown_verbatim(terminal: Any, platform: Any, text: bool) -> None:
    body = {"body": '{"final": "ugly"}', "body_b64": None}
    if not text:
        body = {"body": None, "body_b64": "/3sgbm9wZQ=="}
    shown = ENTRY | body | {"content_type": "application/json", "ce": {"id": "r-1"}}
    shown |= {"first_code": "request.encoding", "first_detail": "br?", "content_encoding": "br"}
    shown["replays"] = 1
    platform.on("GET", "/v1/quarantine/abc-0", shown)
    result = terminal.run("feedback", "quarantine", "show", "abc-0")
    assert result.exit_code == 0
    assert ('{"final": "ugly"}' if text else "{ nope") in result.stdout
    words = " ".join(result.stdout.split())
    assert "refused for unknown_label" in words
    assert "at first for request.encoding why then br?" in words
    assert "content encoding br" in words
    assert terminal.json("feedback", "quarantine", "show", "abc-0") == shown


def done(**changes: Any) -> dict[str, Any]:
    given = {"results": [], "counts": {}, "remaining": 0, "next": None, "stopped": None}
    return given | changes


def test_a_replay_goes_on_until_it_is_through(terminal: Any, platform: Any) -> None:
    good = {"id": "abc-0", "state": "accepted", "code": "accepted", "detail": ""}
    pages = (
        done(results=[good], counts={"accepted": 1}, remaining=1, next="abc-0"),
        done(results=[good | {"id": "abc-1"}], counts={"accepted": 1}),
    )
    platform.on("POST", "/v1/quarantine/replay", *pages)
    words = ["feedback", "replay", "--code", "unknown_label", "--reason", "mended"]
    result = terminal.run(*words)
    assert (result.exit_code, result.stdout) == (0, "2 accepted\n")
    first, second = platform.said_to("POST", "/v1/quarantine/replay")
    assert first.json == {
        "code": "unknown_label",
        "model": None,
        "day": None,
        "ids": None,
        "reason": "mended",
        "dry_run": False,
        "after": None,
    }
    assert second.json["after"] == "abc-0"
    terminal.run("feedback", "replay", "abc-0", "abc-1", "--reason", "x", "--dry-run")
    last = platform.asked[-1].json
    assert (last["ids"], last["dry_run"]) == (["abc-0", "abc-1"], True)


def test_a_replay_that_leaves_something_exits_with_1_and_names_it(
    terminal: Any, platform: Any
) -> None:
    bad = {"id": "abc-0", "state": "open", "code": "unknown_label", "detail": "still ugly"}
    platform.on("POST", "/v1/quarantine/replay", done(results=[bad], counts={"unknown_label": 1}))
    result = terminal.run("feedback", "replay", "--all", "--reason", "mended")
    assert result.exit_code == 1
    assert "still ugly" in result.stdout
    result = terminal.run("feedback", "replay", "--all", "--reason", "mended", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["results"] == [bad]
    platform.on("POST", "/v1/quarantine/replay", done(stopped="Ingest is away.", next="abc-0"))
    result = terminal.run("feedback", "replay", "--all", "--reason", "mended")
    assert result.exit_code == 1
    assert "stopped early: Ingest is away." in result.stderr
    assert terminal.run("feedback", "replay", "--reason", "mended").exit_code == 2


def test_tail_prints_the_newest_and_what_follows(
    terminal: Any, platform: Any, answered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = VERDICT | {"id": "r-2", "subject_id": "task-2", "corrected": False, "final": "good"}
    platform.on(
        "GET",
        "/v1/corrections",
        {"items": [VERDICT], "next": "0:8"},
        {"items": [later], "next": "0:9"},
        {"items": [], "next": "0:9"},
    )
    monkeypatch.setattr("burnish.cli.corrections.time.sleep", interrupt)
    result = terminal.run("feedback", "tail", "--model", "laundry", "-n", "5")
    assert result.exit_code == 130
    head, first, second = result.stdout.splitlines()
    assert head.split() == ["RECEIVED", "MODEL", "SUBJECT", "VERDICT", "BY"]
    assert " ".join(first.split()) == "2026-05-01 10:00:01Z laundry task-1 good → defect kim"
    assert "good ✓" in second
    asked = [one.query for one in platform.said_to("GET", "/v1/corrections")]
    assert asked == [
        {"model": "laundry", "limit": "5"},
        {"model": "laundry", "after": "0:8", "limit": "1000"},
        {"model": "laundry", "after": "0:9", "limit": "1000"},
    ]
    platform.on("GET", "/v1/corrections", {"items": [VERDICT], "next": "0:8"})
    assert terminal.json("feedback", "tail", "--no-follow") == VERDICT


def test_no_record_forges_a_line_of_tail(terminal: Any, platform: Any) -> None:
    forged = VERDICT | {"subject_id": "a\nb", "actor": "x\n\ty", "final": "good\r\n"}
    platform.on("GET", "/v1/corrections", {"items": [forged], "next": "0:8"})
    result = terminal.run("feedback", "tail", "--no-follow")
    assert len(result.stdout.splitlines()) == 2
    assert "a\N{REPLACEMENT CHARACTER}b" in result.stdout


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def journey(stage: str, **changes: Any) -> dict[str, Any]:
    received = {
        "shard": "0",
        "offset": 7,
        "persisted": True,
        "at": "2026-05-01T10:00:01Z",
        "model": "laundry",
        "subject": "task-1",
        "final": "defect",
        "corrected": True,
    }
    given = {"source": "app", "id": "a/1", "stage": stage, "received": received}
    return given | {"datasets": [], "quarantined": []} | changes


@pytest.mark.parametrize(
    ("found", "said", "code"),
    [
        (
            journey(
                "left_out",
                datasets=[
                    {"dataset": "laundry@1", "split": "train", "reason": None},
                    {"dataset": "laundry@4", "split": None, "reason": "superseded"},
                ],
            ),
            ["shard 0, offset 7", "in split train", "left out: superseded"],
            0,
        ),
        (journey("persisted"), ["none yet; the next build reads it"], 0),
        (
            journey("quarantined", received=None, quarantined=[ENTRY]),
            ["it was not accepted", "unknown_label", "abc-0"],
            1,
        ),
    ],
)
def test_a_journey_is_told_step_by_step(
    terminal: Any, platform: Any, found: dict[str, Any], said: list[str], code: int
) -> None:
    platform.on("GET", "/v1/feedback/a%2F1/journey", found)
    result = terminal.run("feedback", "journey", "a/1", "--source", "app")
    assert result.exit_code == code, result.output
    for words in said:
        assert words in result.stdout
    assert platform.asked[-1].query == {"source": "app"}
