import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from burnish.adapters.directory import DirectoryUnavailable, PublishedDirectory

SECRET = b"s" * 32


def payload(*labels: str) -> dict[str, Any]:
    return {
        "models": {"laundry": {"labels": list(labels), "kind": "image-classification"}},
        "keys": [{"sha256": "00" * 32, "name": "admin", "role": "admin"}],
    }


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "published" / "directory.json"


def labels(directory: PublishedDirectory) -> tuple[str, ...]:
    return directory.current().models["laundry"].labels


def test_a_reader_sees_what_was_published_and_every_change_of_it(path: Path) -> None:
    reader, writer = PublishedDirectory(path, SECRET), PublishedDirectory(path, SECRET)
    with pytest.raises(DirectoryUnavailable):
        reader.current()
    writer.publish(payload("good", "defect"))
    assert labels(reader) == ("good", "defect")
    writer.publish(payload("good", "bad"))
    assert labels(reader) == ("good", "bad")


@pytest.mark.parametrize("damage", ["forged", "torn", "gone", "foreign"])
def test_a_reader_keeps_the_last_good_one(path: Path, damage: str) -> None:
    reader = PublishedDirectory(path, SECRET)
    reader.publish(payload("good", "defect"))
    reader.current()
    match damage:
        case "forged":
            signed = json.loads(path.read_text())
            signed["payload"]["keys"][0]["sha256"] = "ff" * 32
            path.write_text(json.dumps(signed))
        case "torn":
            path.write_bytes(path.read_bytes()[:50])
        case "gone":
            path.unlink()
        case _:
            PublishedDirectory(path, b"other").publish(payload("evil", "worse"))
    assert labels(reader) == ("good", "defect")
    if damage != "gone":
        with pytest.raises(DirectoryUnavailable):
            PublishedDirectory(path, SECRET).current()


def test_what_is_no_directory_is_not_published(path: Path) -> None:
    with pytest.raises(msgspec.ValidationError):
        PublishedDirectory(path, SECRET).publish({"models": {}})
    assert not path.exists()
