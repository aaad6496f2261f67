"""The raw log read by a Daft plan is the raw log read line by line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters import daft_datasets
from burnish.adapters.daft_datasets import DaftReader
from burnish.adapters.raw_object import RawLogDamaged
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.datasets.columns import Asked
from burnish.datasets.reading import Read, SerialReader
from burnish.feedback.model import FeedbackRecord
from burnish.feedback.parse import record_of
from burnish.feedback.service import RawLogGap
from support.samples import policy

World = Any
About = Callable[..., FeedbackRecord]
ASKED = Asked(model="laundry", labels=("good", "defect"), validation=0.2, epoch=1)


def reader(world: World) -> DaftReader:
    manifest = SqlManifest(world.engine)
    return DaftReader(world.objects.folder, manifest, record_of, engine="local", processes=2)


def same(one: Read, other: Read) -> None:
    assert b"".join(one.to_parts()) == b"".join(other.to_parts())


@pytest.fixture
def spoken(world: World, about: About) -> World:
    """A world where people spoke in five objects of two shards, broken lines among them."""
    for start in (0, 30, 33):
        people = range(start, start + 30)
        world.say(*(about(f"s-{n}", "good", model="laundry" if n % 7 else "b") for n in people))
    world.say("no record", *(about(f"t-{n}", "defect") for n in range(20)), shard="1")
    world.say(about("ranked", {"a": 1.0}, predicted=("a", "b"), corrected=False), shard="1")
    return world


@pytest.mark.parametrize("since", [{}, {"0": 45, "1": 3}, {"0": 90, "1": 22}])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Daft's, of its process
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lines", [1, 10**9])
def test_a_plan_reads_what_one_thread_reads(
    spoken: World, since: dict[str, int], lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daft_datasets, "IN_PROCESSES", lines)
    until = {"0": 80, "1": 22}
    serial = SerialReader(spoken.raw_log, record_of)
    same(reader(spoken).read(ASKED, since, until), serial.read(ASKED, since, until))


def test_an_object_that_changed_is_named(spoken: World) -> None:
    key = next(iter(spoken.objects.list("raw/")))
    path = spoken.objects.folder.path(key)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(RawLogDamaged, match="restore it from a backup"):
        reader(spoken).read(ASKED, {}, spoken.raw_log.end())


def test_a_range_beyond_the_log_is_a_gap(spoken: World) -> None:
    with pytest.raises(RawLogGap, match="no record at offset 90, below 91"):
        reader(spoken).read(ASKED, {}, {"0": 91})
    with pytest.raises(RawLogGap):
        reader(spoken).read(ASKED, {}, {"nowhere": 1})


@pytest.mark.soak
def test_a_build_on_a_ray_node_has_the_digest_of_one_here(
    world: World, about: About, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    for start in range(0, 600, 100):
        people = range(start, start + 100)
        photos = {number: world.photo(f"photo-{number}") for number in people}
        world.say(
            *(about(f"s-{n}", "good" if n % 2 else "defect", payload=photos[n]) for n in people)
        )
    folder = world.objects.folder.root.parent
    shutil.copytree(folder, tmp_path / "elsewhere")
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [
            sys.executable,
            str(root / "tests" / "support" / "ray_build.py"),
            str(tmp_path / "elsewhere"),
            json.dumps(world.raw_log.end()),
        ],
        env=os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    here = replace(world.service, reader=reader(world)).build(policy(), world.raw_log.end())
    assert here.digest in child.stderr
