"""The real story: electroluminescence photos of solar cells, as the package elpv-dataset has them.

Two experts said of each cell how surely it is defective: 0, 1/3, 2/3 or 1. Only the sure ones take
part; the others are background traffic, which nobody judges. The first model sees cells of one
kind (monocrystalline) and production then shows it both: a shift as real deployments meet it.
"""

from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Final

from burnish.demo.album import Album, DemoError, Pace, Photo, PhotoFile

FIRST: Final = 300  # monocrystalline photos of the first model
HOLDOUT: Final = 500
PASSERS: Final = 100  # few enough that each is asked about several times per release
LABELS: Final = {"0.0": "good", "1.0": "defect"}
PACE: Final = Pace(arrivals=300, looks=200, more=60, min_corrections=25, p_better=0.90)
FIELDS: Final = 3  # path, probability of a defect, kind of cell


def album(seed: int = 0) -> Album:
    """Deal the photos out. Raises DemoError if the data set is not installed."""
    return deal(photos(_folder()), seed)


def photos(folder: Path) -> list[tuple[Photo, str]]:
    """Read the data set's list: every photo and its kind of cell, `mono` or `poly`."""
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines()]
    return [
        (
            PhotoFile(name=Path(row[0]).name, label=LABELS.get(row[1], ""), path=folder / row[0]),
            row[2],
        )
        for row in rows
        if len(row) == FIELDS
    ]


def deal(cells: list[tuple[Photo, str]], seed: int) -> Album:
    """Give every photo its one part; the same cells and seed, the same album."""
    shuffled = sorted(cells, key=lambda cell: cell[0].name)
    Random(seed).shuffle(shuffled)  # noqa: S311  (a repeatable deal, no secret)
    sure = [(photo, kind) for photo, kind in shuffled if photo.label]
    unsure = [photo for photo, _ in shuffled if not photo.label]
    holdout, rest = sure[:HOLDOUT], sure[HOLDOUT:]
    first = [photo for photo, kind in rest if kind == "mono"][:FIRST]
    taken = {photo.name for photo in first}
    return Album(
        model="solar",
        title="Defects in solar cells",
        opening="labelled photos of one kind of cell",
        labels=("good", "defect"),
        pace=PACE,
        cast=(
            "The photos are real: the ELPV data set of solar cells (CC BY-NC-SA 4.0).",
            "The reviewer is not: the data set's own labels stand in for a person.",
        ),
        first=tuple(first),
        holdout=tuple(photo for photo, _ in holdout),
        stream=tuple(photo for photo, _ in rest if photo.name not in taken),
        passers=tuple(unsure[:PASSERS]),
    )


def _folder() -> Path:
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise DemoError(
            "The demo's photos are not installed. Get them with: pip install 'burnish[demo]'"
        )
    return Path(spec.origin).parent / "data"
