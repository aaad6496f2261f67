"""The client works where Burnish was installed without its dependencies."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import burnish.client.feedback, burnish.client.api, burnish.client.trainer, sys
assert "site-packages" in burnish.client.feedback.__file__, burnish.client.feedback.__file__
alien = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(sorted(name for name in alien if not name.startswith(("_", "sitecustomize"))))
with burnish.client.feedback.Feedback("http://127.0.0.1:9", "token", outbox=sys.argv[1]) as client:
    print(client.send({"source": "app", "model": "laundry"}).code)
"""


def test_the_client_needs_nothing_but_python(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env=plain,
        check=True,
        capture_output=True,
    )
    venv.create(tmp_path / "venv", with_pip=False)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:  # as `pip install --no-deps` does with a pure wheel
        archive.extractall(packages)
    said = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "python"), "-c", PROGRAM, str(tmp_path / "outbox")],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (0, "['burnish']\nqueued\n"), said.stderr
