"""Maps that stay open: no file is mapped twice while it is wanted, and none outlives its use."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from burnish.adapters.maps import Maps


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode() * 5)
    return paths


def test_a_file_is_mapped_once_for_all_who_look_into_it(files: list[Path]) -> None:
    maps = Maps()
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(maps.open, files * 20))
    assert {bytes(view) for view in views} == {b"aaaaa", b"bbbbb", b"ccccc"}
    assert len({id(view) for view in views}) == 3


def test_the_map_that_was_asked_for_longest_ago_is_let_go_but_not_under_anybodys_hands(
    files: list[Path],
) -> None:
    maps = Maps(most=2)
    held, kept = maps.open(files[0]), weakref.ref(maps.open(files[1]))
    assert maps.open(files[0]) is held
    maps.open(files[2])
    assert kept() is None
    maps.open(files[1])
    assert maps.open(files[0]) is not held
    assert bytes(held) == b"aaaaa"


def test_a_file_that_was_deleted_is_not_found_and_another_of_its_name_is_itself(
    files: list[Path],
) -> None:
    maps = Maps()
    first = weakref.ref(maps.open(files[0]))
    files[0].unlink()
    with pytest.raises(FileNotFoundError):
        maps.open(files[0])
    assert first() is None
    files[0].write_bytes(b"other")
    assert bytes(maps.open(files[0])) == b"other"
    files[1].rename(files[0])
    assert bytes(maps.open(files[0])) == b"bbbbb"


def test_what_is_forgotten_is_let_go(files: list[Path]) -> None:
    maps = Maps()
    forgotten = weakref.ref(maps.open(files[0]))
    for _ in range(2):
        maps.forget(files[0])
    assert forgotten() is None
