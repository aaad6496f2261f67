"""`burnish feedback send`: one record by options, many by a file or a pipe."""

import json
from pathlib import Path
from typing import Any


def accept(request: Any) -> list[dict[str, Any]]:
    lines = request.body.splitlines()
    return [
        {"index": index, "status": 422, "code": "unknown_label", "detail": "No such label."}
        if b'"bad"' in line
        else {"index": index, "status": 202, "code": "accepted", "offset": index}
        for index, line in enumerate(lines)
    ]


def test_one_record_is_made_of_the_options(terminal: Any, platform: Any, answered: Any) -> None:
    accepted = {"source": "burnish-cli", "id": "id-0", "offset": 7, "duplicate": False}
    platform.on("POST", "/v1/feedback", answered(accepted, 202))
    words = ["--model", "laundry", "--subject", "s1", "--predicted", "good", "--final", "defect"]
    result = terminal.run("feedback", "send", *words)
    assert result.exit_code == 0
    assert "id-0 accepted at offset 7" in result.stdout
    assert platform.asked[-1].json == {
        "id": "id-0",
        "source": "burnish-cli",
        "model": "laundry",
        "subject_id": "s1",
        "predicted": "good",
        "final": "defect",
        "corrected": True,
        "actor": "kim",
        "occurred_at": "2026-05-01T12:00:00+00:00",
        "schema_version": 1,
    }
    words[-1] = "good"
    terminal.run("feedback", "send", *words)
    assert platform.asked[-1].json["corrected"] is False


def test_a_photo_is_uploaded_and_named_by_its_uri(
    terminal: Any, platform: Any, answered: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "cell.png"
    photo.write_bytes(b"\x89PNG")
    uri = "burnish:sha256:" + "a" * 64
    platform.on("POST", "/v1/payloads", answered({"uri": uri}, 201))
    platform.on("POST", "/v1/feedback", {"id": "id-0", "offset": 0, "duplicate": True})
    result = terminal.run(
        "feedback", "send", "--model", "m", "--subject", "s", "--final", "1", "--photo", str(photo)
    )
    assert "id-0 was there already" in result.stdout
    assert platform.asked[0].body == b"\x89PNG"
    assert platform.asked[1].json["payload"] == uri


def test_a_file_goes_in_batches_and_each_refused_line_is_named(
    terminal: Any, platform: Any, answered: Any, tmp_path: Path
) -> None:
    platform.routes["POST", "/v1/feedback/batch"] = lambda request: answered(
        {"results": accept(request)}
    )
    lines = [json.dumps({"id": str(n)}) for n in range(1100)]
    lines[700] = json.dumps({"id": "700", "final": "bad"})
    lines.insert(0, "")  # blank lines are no records, but they count as lines
    file = tmp_path / "corrections.ndjson"
    file.write_text("\n".join(lines), encoding="utf-8")
    result = terminal.run("feedback", "send", str(file))
    assert result.exit_code == 1
    assert "1099 accepted, 1 refused, which ingest keeps in quarantine" in result.stdout
    assert ["702", "unknown_label", "No such label."] in [
        line.split(maxsplit=2) for line in result.stdout.splitlines()
    ]
    sizes = [len(request.body.splitlines()) for request in platform.asked]
    assert sizes == [500, 500, 100]
    assert platform.asked[0].headers["content-type"] == "application/x-ndjson"


def test_a_pipe_is_read_and_json_gives_every_result(
    terminal: Any, platform: Any, answered: Any
) -> None:
    platform.routes["POST", "/v1/feedback/batch"] = lambda request: answered(
        {"results": accept(request)}
    )
    results = terminal.json("feedback", "send", "-", stdin=b'{"id": "1"}\n{"id": "2"}\n')["results"]
    assert [(result["line"], result["status"]) for result in results] == [(1, 202), (2, 202)]


def test_a_full_ingest_is_waited_for_as_long_as_it_asks(
    terminal: Any, platform: Any, refused: Any, answered: Any
) -> None:
    full = refused(429, "backpressure", "The spool is full.", Retry_After="0")
    accepted = answered({"results": [{"index": 0, "status": 202, "code": "accepted"}]})
    platform.on("POST", "/v1/feedback/batch", full, full, accepted)
    result = terminal.run("feedback", "send", "-", stdin=b'{"id": "1"}\n')
    assert result.exit_code == 0
    assert "1 accepted, 0 refused" in result.stdout
    assert len(platform.asked) == 3


def test_options_beside_a_file_are_refused_by_name(terminal: Any, platform: Any) -> None:
    result = terminal.run("feedback", "send", "-", "--source", "app", "--actor", "lee", stdin=b"{}")
    assert result.exit_code == 2
    assert "leave out --actor, --source, or FILE" in words(result.stderr)
    assert platform.asked == []


def test_a_file_that_is_not_there_is_told_without_an_error_number(terminal: Any) -> None:
    one = ("--model", "m", "--subject", "s", "--final", "1", "--photo")
    for asked in (
        ("feedback", "send", "nofile"),
        ("feedback", "send", *one, "nofile"),
        ("predict", "m", "nofile"),
        ("model", "apply", "nofile"),
    ):
        result = terminal.run(*asked)
        assert result.exit_code == 2
        assert "nofile cannot be read: No such file or directory" in words(result.stderr)


def test_the_help_says_what_makes_two_commands_send_one_record(terminal: Any) -> None:
    said = words(terminal.run("feedback", "send", "--help").stdout)
    assert "the same only with the same --id and --occurred-at" in said
    assert "Why, as a short code of yours." in said


def words(told: str) -> str:
    """Return what a box of the terminal says, on one line."""
    return " ".join(told.replace("│", " ").split())


def test_an_option_left_out_is_a_field_left_out_not_invented(
    terminal: Any, platform: Any, refused: Any
) -> None:
    platform.on("POST", "/v1/feedback", refused(422, "unknown_model", "There is no model 'm'."))
    result = terminal.run("feedback", "send", "--model", "m", "--subject", "s", "--final", "1")
    assert result.exit_code == 1
    assert "unknown_model" in result.stderr
    assert {"predicted", "payload", "reason"}.isdisjoint(platform.asked[-1].json)
