"""What all commands share: who asks, where, and what comes of a no."""

import json
from pathlib import Path
from typing import Any

import pytest

EMPTY = {"items": []}


def test_the_token_of_the_data_directory_is_shown_unless_another_is_given(
    terminal: Any, platform: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    platform.on("GET", "/v1/models", EMPTY)
    other = tmp_path / "other"
    other.mkdir()
    (other / "admin.token").write_text("bn_other", encoding="utf-8")
    terminal.run("model", "list")
    terminal.run("model", "list", "--data", str(other))
    terminal.run("--data", str(other), "model", "list")
    monkeypatch.setenv("BURNISH_TOKEN", "bn_environment")
    terminal.run("model", "list")
    terminal.run("--token", "bn_before", "model", "list")
    terminal.run("--token", "bn_before", "model", "list", "--token", "bn_after")
    shown = [request.headers["authorization"] for request in platform.asked]
    names = ["secret", "other", "other", "environment", "before", "after"]
    assert shown == [f"Bearer bn_{name}" for name in names]


def test_a_url_given_after_the_command_wins(terminal: Any, platform: Any) -> None:
    platform.on("GET", "/v1/models", EMPTY)
    result = terminal.run("--url", "http://127.0.0.1:1", "model", "list", "--url", platform.url)
    assert result.exit_code == 0
    assert "No models yet" in result.stdout


def test_a_no_of_the_platform_is_shown_with_its_code_and_exits_with_1(terminal: Any) -> None:
    result = terminal.run("run", "show", "7")
    assert result.exit_code == 1
    assert "✗ not_found  There is nothing at '/v1/runs/7'." in result.stderr
    assert result.stdout == ""


def test_with_json_a_no_is_the_problem_document_on_standard_error(terminal: Any) -> None:
    result = terminal.run("run", "show", "7", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["code"] == "not_found"


def test_a_role_that_does_not_answer_exits_with_3_and_says_what_to_do(terminal: Any) -> None:
    result = terminal.run("model", "list", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "http://127.0.0.1:1 does not answer: nothing listens there" in result.stderr
    assert "burnish up" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("model", "lst"),
        ("model", "list", "--nonsense"),
        ("model", "list", "--url", "localhost"),
        ("run", "list", "--limit", "0"),
        ("run", "reject", "7"),
        ("rollback", "laundry"),
        ("feedback", "send"),
        ("feedback", "send", "--model", "laundry"),
        ("feedback", "send", "/nowhere.ndjson"),
        ("model", "apply", "/nowhere.toml"),
        ("predict", "laundry", "/nowhere.jpg"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    terminal: Any, platform: Any, words: tuple[str, ...]
) -> None:
    assert terminal.run(*words).exit_code == 2
    assert platform.asked == []


def test_names_from_elsewhere_do_not_steer_the_terminal(terminal: Any, platform: Any) -> None:
    row = {
        "id": 1,
        "at": "2026-05-01T10:00:00Z",
        "actor": "eve\x1b[2J",
        "action": "[bold red]run.started[/]",
        "subject": "run:7",
        "reason": "",
    }
    platform.on("GET", "/v1/audit", {"items": [row]})
    shown = terminal.run("audit", "list").stdout
    assert "\x1b" not in shown
    assert "[bold red]run.started[/]" in shown


def test_an_answer_that_is_no_problem_document_is_told_all_the_same(
    terminal: Any, platform: Any, answered: Any
) -> None:
    platform.on("GET", "/v1/models", answered(b"upstream gone", 502))
    result = terminal.run("model", "list")
    assert result.exit_code == 1
    assert "✗ unknown  upstream gone" in result.stderr
