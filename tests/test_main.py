"""The program as a whole: what it offers, and that its page is true."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from burnish import config
from burnish.__main__ import build_app
from burnish.cli.reference import reference

ROOT = Path(__file__).parents[1]


def burnish(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "burnish", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )


def test_the_page_about_the_command_line_is_current() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(build_app()), "run: python -m burnish reference > docs/cli.md"


def test_everything_that_is_promised_is_there() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    promised = (
        "init up ingest control worker serve demo rollback predict watch doctor "
        "model·apply model·list model·show feedback·send dataset·list dataset·show "
        "run·list run·show run·follow run·start run·approve run·reject run·cancel "
        "job·list job·show job·cancel job·log release·list release·show audit·list"
    )
    for command in promised.split():
        assert f"\n## burnish {command.replace('·', ' ')}\n" in page


def test_init_writes_files_that_the_roles_can_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = burnish("init", "--data", str(data), "--model", "laundry", "--labels", "good, defect")
    assert made.returncode == 0, made.stderr
    assert f"wrote {data / 'burnish.toml'}" in made.stdout
    assert 'labels = ["good", "defect"]' in (data / "models/laundry.toml").read_text("utf-8")
    assert config.load(data, environ={}).data == data
    assert "kept" in burnish("--data", str(data), "init").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("init", "--model", "Not A Name"), "policy.invalid"),
        (("init", "--model", "a", "--labels", "one"), "at least two different labels"),
        (("ingest", "--set", "ingest.prot=1"), "did you mean ingest.port"),
        (("serve", "--set", "serve.port"), "write KEY=VALUE"),
        (("worker", "--port", "70000"), "worker.port is '70000' (in the command line)"),
        (("control", "--log-level", "loud"), "log.level"),
    ],
)
def test_a_wrong_start_exits_with_2_and_says_why(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    ended = burnish(*words, "--data", str(tmp_path))
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_client_follows_the_settings_of_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "burnish.toml").write_text("[control]\nport = 1\n", encoding="utf-8")
    ended = burnish("model", "list", BURNISH_DATA=str(tmp_path))
    assert ended.returncode == 3
    assert "http://127.0.0.1:1 does not answer" in ended.stderr


def test_a_client_command_starts_without_loading_the_platform() -> None:
    heavy = ("litestar", "sqlalchemy", "dbos", "onnxruntime", "sklearn", "cv2", "numpy")
    code = f"import burnish.__main__, sys; print([m for m in {heavy!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.strip() == "[]"


def test_the_version_is_told() -> None:
    assert burnish("--version").stdout.startswith("burnish ")
