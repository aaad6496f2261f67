"""`burnish trigger`: what each command asks of the API, and what a person reads."""

from pathlib import Path
from typing import Any

import pytest

POLICY = 'name = "laundry"\nkind = "image-classification"\nlabels = ["good", "defect"]\n'
PATH = "/v1/models/laundry/trigger"
SENTENCE = (
    "87 of 100 corrections, 3 of 7 days; "
    "12 records did not count: 9 near-duplicates, 3 contradictions"
)
WAITS = {
    "model": "laundry",
    "sentence": SENTENCE,
    "fire": False,
    "pending": False,
    "decision": {"rule": "wait", "hold": None, "reason": SENTENCE, "corrections": 87},
    "next_turn": "2026-05-05T12:00:00Z",
}
HELD = {
    "id": 7,
    "at": "2026-05-01T12:00:00Z",
    "until": "2026-05-01T13:00:00Z",
    "fire": False,
    "rule": "operator",
    "hold": "run",
    "reason": "asked for by kim: new labels; 3 of 100 corrections; waits for run run-1 to end",
    "run": None,
}


def training(day: int, corrections: int) -> dict[str, Any]:
    reason = f"{corrections} of {corrections} corrections"
    at = f"2026-05-{day:02}T12:00:00Z"
    return {"at": at, "rule": "corrections", "corrections": corrections, "reason": reason}


TRAVEL = {
    "model": "laundry",
    "policy_digest": "sha256:" + "b" * 64,
    "since": "2026-05-01T12:00:00Z",
    "until": "2026-05-09T12:00:00Z",
    "decisions": 20,
    "same": 12,
    "did": [training(4, 8)],
    "would": [training(2, 4), training(4, 4)],
    "changes": [],
    "changed": 3,
}


def test_explain_prints_one_sentence(terminal: Any, platform: Any) -> None:
    platform.on("GET", PATH, WAITS)
    assert terminal.run("trigger", "explain", "laundry").stdout == SENTENCE + "\n"
    assert terminal.json("trigger", "explain", "laundry") == WAITS


def test_list_shows_every_model_and_when_time_will_turn_it(terminal: Any, platform: Any) -> None:
    held = {**WAITS, "model": "face", "pending": True, "decision": {"hold": "window"}}
    fires = {**WAITS, "model": "search", "fire": True}
    platform.on("GET", "/v1/triggers", {"items": [WAITS, held, fires]})
    shown = terminal.run("trigger", "list").stdout
    for said in (SENTENCE, "pending (window)", "fires", "waits", "2026-05-05 12:00:00Z"):
        assert said in shown


def test_history_shows_how_long_each_decision_held(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/models/laundry/decisions", {"items": [HELD]})
    shown = terminal.run("trigger", "history", "laundry", "--limit", "5").stdout
    assert "2026-05-01 13:00:00Z" in shown
    assert "pending (run)" in shown
    assert platform.asked[-1].query == {"limit": "5"}


@pytest.mark.parametrize(
    ("verb", "left", "said"), [("pause", ["urgent"], "urgent"), ("resume", [], "none")]
)
def test_pause_and_resume_name_triggers_and_say_why(
    terminal: Any, platform: Any, verb: str, left: list[str], said: str
) -> None:
    platform.on("POST", f"{PATH}/{verb}", {"items": [{"trigger": name} for name in left]})
    words = ("trigger", verb, "laundry", "--reason", "import", "--trigger", "urgent")
    assert terminal.run(*words).stdout == f"laundry: paused: {said}\n"
    assert platform.asked[-1].json == {"reason": "import", "triggers": ["urgent"]}
    assert terminal.run("trigger", verb, "laundry").exit_code == 2  # without a reason


def test_run_prints_the_run_or_what_it_waits_for(terminal: Any, platform: Any) -> None:
    platform.on("POST", f"{PATH}/run", {**HELD, "run": "run-2"}, HELD)
    words = ("trigger", "run", "laundry", "--reason", "new labels")
    assert terminal.run(*words).stdout == "run-2\n"
    assert terminal.run(*words).stdout == f"pending: {HELD['reason']}\n"


def test_replay_sends_the_proposed_policy_and_shows_both_pasts(
    terminal: Any, platform: Any, tmp_path: Path
) -> None:
    file = tmp_path / "new.toml"
    file.write_text(POLICY, encoding="utf-8")
    platform.on("POST", f"{PATH}/replay", TRAVEL)
    words = ("trigger", "replay", "laundry", "--policy", str(file), "--days", "30")
    done = terminal.run(*words)
    assert done.exit_code == 0
    assert "12 of 20 decisions since 2026-05-01 12:00:00Z come out the same" in done.stdout
    assert "It would have trained twice; it did once." in done.stdout
    assert "2026-05-02 12:00:00Z" in done.stdout
    assert platform.asked[-1].json == {"policy": POLICY, "days": 30}


def test_replay_without_a_policy_fails_where_the_past_does_not_follow(
    terminal: Any, platform: Any
) -> None:
    platform.on("POST", f"{PATH}/replay", {**TRAVEL, "same": 20}, TRAVEL)
    assert terminal.run("trigger", "replay", "laundry").exit_code == 0
    assert terminal.run("trigger", "replay", "laundry").exit_code == 1
    assert "policy" not in platform.asked[-1].json


def test_a_mistake_in_the_proposed_policy_is_told_without_asking(
    terminal: Any, platform: Any, tmp_path: Path
) -> None:
    file = tmp_path / "new.toml"
    file.write_text(POLICY + "[trigger]\nmin_dais = 3\n", encoding="utf-8")
    refused = terminal.run("trigger", "replay", "laundry", "--policy", str(file))
    assert refused.exit_code == 1
    assert "did you mean trigger.min_days?" in refused.output
    assert platform.asked == []
