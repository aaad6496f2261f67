"""Given the solar data set, when its photos are dealt out, then each plays one part, always."""

from pathlib import Path

import pytest

from burnish.demo import solar
from burnish.demo.album import Album, Photo, PhotoFile


def cells(kind: str, label: str, count: int) -> list[tuple[Photo, str]]:
    names = [f"{kind}-{label or 'unsure'}-{n:04}.png" for n in range(count)]
    return [(PhotoFile(name=name, label=label, path=Path(name)), kind) for name in names]


@pytest.fixture(scope="module")
def every_cell() -> list[tuple[Photo, str]]:
    kinds = [("mono", 450), ("poly", 660)]
    sure = [
        cell for kind, n in kinds for label in ("good", "defect") for cell in cells(kind, label, n)
    ]
    return sure + cells("mono", "", 170) + cells("poly", "", 230)


def parts(album: Album) -> list[tuple[Photo, ...]]:
    return [album.first, album.holdout, album.stream, album.passers]


def test_no_photo_plays_two_parts(every_cell: list[tuple[Photo, str]]) -> None:
    dealt = [photo.name for part in parts(solar.deal(every_cell, 0)) for photo in part]
    assert len(dealt) == len(set(dealt))


def test_the_same_seed_deals_the_same_however_the_cells_are_listed(
    every_cell: list[tuple[Photo, str]],
) -> None:
    assert solar.deal(every_cell, 7) == solar.deal(every_cell[::-1], 7)
    assert solar.deal(every_cell, 7) != solar.deal(every_cell, 8)


def test_the_first_model_sees_one_kind_and_the_holdout_both(
    every_cell: list[tuple[Photo, str]],
) -> None:
    album = solar.deal(every_cell, 0)
    kind = {photo.name: kind for photo, kind in every_cell}
    assert len(album.first) == 300
    assert {kind[photo.name] for photo in album.first} == {"mono"}
    assert len(album.holdout) == 500
    assert {kind[photo.name] for photo in album.holdout} == {"mono", "poly"}


def test_unsure_cells_are_judged_by_nobody(every_cell: list[tuple[Photo, str]]) -> None:
    album = solar.deal(every_cell, 0)
    judged = [*album.first, *album.holdout, *album.stream]
    assert {photo.label for photo in judged} == {"good", "defect"}
    assert {photo.label for photo in album.passers} == {""}


def test_the_data_sets_list_is_read_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "images/cell0001.png  1.0                 mono\n"
        "images/cell0002.png  0.3333333333333333  poly\n"
        "images/cell0003.png  0.0                 poly\n"
    )
    read = solar.photos(tmp_path)
    assert [(photo.name, photo.label, kind) for photo, kind in read] == [
        ("cell0001.png", "defect", "mono"),
        ("cell0002.png", "", "poly"),
        ("cell0003.png", "good", "poly"),
    ]
    assert read[0][0].path == tmp_path / "images" / "cell0001.png"
