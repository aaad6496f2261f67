"""The examples of `docs/client.md` run as they stand, against a real front."""

import re
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_every_example_of_the_clients_page_runs(
    lasting: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {
        "__name__": "client.md",
        "token": "a-token",
        "photo_uri": "burnish:sha256:" + "ab" * 32,
        "outbox_folder": tmp_path / "outbox",
    }
    examples = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    for example in examples:
        exec(example.replace("http://127.0.0.1:8401", lasting.url), given)  # noqa: S102
    assert len(examples) == 4
    said = capsys.readouterr().out
    for words in (
        "accepted 0\n",
        "unknown_label final is 'ugly'",
        "5000 accepted\naccepted\n",
        "100 sent\n",
        "queued\n",
    ):
        assert words in said
    lasting.post("/v1/seal", b"")
    assert len([one for one in lasting.raw_log() if one.source == "laundry-app"]) == 5103
