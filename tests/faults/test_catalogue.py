"""The catalogue of crash points is whole: each is in the source, is tried, and is documented."""

import os
import re
import subprocess
import sys
from pathlib import Path

from burnish.adapters import crash
from burnish.adapters.crash import COMMITS, OBJECTS, POINTS, STEPS
from burnish.adapters.sql.schema import metadata
from burnish.pipeline.saga import HALVES
from support.deaths import TRIED

ROOT = Path(__file__).parents[2]
SOURCE = Path(crash.__file__).parents[1]
PLACED = re.compile(r"""crash_point\(\s*f?"([^"{]+)["{]""")
FAMILIES = ("commit.before:", "commit.after:", "object.before:", "object.after:", "step.done:")


def test_every_point_is_tried() -> None:
    assert set(POINTS) == TRIED


def test_every_point_stands_in_the_source_and_no_other_does() -> None:
    placed = {name for path in SOURCE.rglob("*.py") for name in PLACED.findall(path.read_text())}
    singles = {point for point in POINTS if not point.startswith(FAMILIES)}
    assert placed == singles | set(FAMILIES)
    assert tuple(step.name for half in HALVES.values() for step in half.steps) == STEPS


def test_every_commit_and_folder_is_one_that_the_source_names() -> None:
    text = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    composed = ("run.", "job.", "release.")  # these end in the event of a machine
    for name in COMMITS:
        assert f'"{name}"' in text or name in metadata.tables or name.startswith(composed), name
    for folder in OBJECTS:
        assert re.search(rf'"{folder}/', text), folder


def test_an_unknown_point_is_refused_and_the_near_one_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import burnish.adapters.crash"],
        env={**os.environ, "BURNISH_CRASH_AT": "step.done:colect"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "step.done:collect" in done.stderr


def test_every_point_is_documented_as_the_source_says_it() -> None:
    page = (ROOT / "docs" / "crash-points.md").read_text()
    table = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in POINTS.items())
    assert table in page
