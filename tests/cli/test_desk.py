"""`burnish dataset contradictions` and `settle`, and erasing with a question before it."""

from typing import Any

PHOTO = "sha256:" + "a" * 64
DESK = {
    "items": [
        {
            "subjects": ["s1"],
            "payload_sha256": PHOTO,
            "words": [
                {"actor": "kim", "final": "good", "subject": "s1", "source": "app", "id": "1",
                 "occurred_at": "2026-05-01T10:00:00Z"},
                {"actor": None, "final": "defect", "subject": "s1", "source": "app", "id": "2",
                 "occurred_at": "2026-05-01T11:00:00Z"},
            ],
        }
    ],
    "reviewers": ["kim"],
    "cut": False,
}  # fmt: skip
ERASURE = {"id": "", "records": 2, "datasets": ["laundry@3"], "models": ["laundry 1.2.0"]}


def test_a_reviewer_settles_with_the_photo_that_was_judged(
    terminal: Any, platform: Any, answered: Any
) -> None:
    platform.on("GET", "/v1/models/laundry/contradictions", DESK)
    platform.on("POST", "/v1/feedback", answered({"offset": 7}, 202))
    assert "somebody: defect" in terminal.run("dataset", "contradictions", "laundry").stdout
    result = terminal.run("dataset", "settle", "laundry", "s1", "defect", "--reason", "a stain")
    assert "s1 is defect, says kim" in result.stdout
    sent = platform.asked[-1].json
    assert (sent["payload"], sent["actor"], sent["final"]) == (f"burnish:{PHOTO}", "kim", "defect")
    assert sent["reason"] == "a stain"


def test_who_is_no_reviewer_settles_nothing_and_neither_does_agreement(
    terminal: Any, platform: Any
) -> None:
    platform.on("GET", "/v1/models/laundry/contradictions", DESK)
    refused = terminal.run("dataset", "settle", "laundry", "s1", "defect", "--actor", "lee")
    assert refused.exit_code == 2
    assert "kim" in refused.output
    agreed = terminal.run("dataset", "settle", "laundry", "s9", "defect")
    assert agreed.exit_code == 1
    assert "Nobody disagrees on s9" in agreed.output
    assert not platform.said_to("POST", "/v1/feedback")


def test_erasing_says_what_it_touches_and_asks_first(terminal: Any, platform: Any) -> None:
    platform.on("POST", "/v1/seal", {})
    platform.on("POST", "/v1/erasures", ERASURE)
    words = ["feedback", "erase", "--subject", "s1", "--reason", "case 12"]
    refused = terminal.run(*words, stdin=b"n\n")
    assert refused.exit_code == 1
    assert "laundry 1.2.0" in refused.stdout
    assert [asked.json.get("dry_run") for asked in platform.said_to("POST", "/v1/erasures")] == [
        True
    ]
    done = terminal.run(*words, "--yes")
    assert done.exit_code == 0
    assert platform.asked[-1].json == {"subject": "s1", "reason": "case 12"}
