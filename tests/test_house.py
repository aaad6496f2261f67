"""Rules of the house that no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 400
# Where a package manager would fetch from; the requirements must not care.
REGISTRY = re.compile(
    r"https?://[^\s\"')]*(pypi|pythonhosted|npmjs|registry|artifactory|jfrog)"
    r"|--(extra-)?index-url|--find-links|\"resolved\":",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(root|home/\w+|work|Users/\w+)/")


def source_files() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def committed_texts() -> dict[str, str]:
    texts = {}
    for path in committed_files():
        try:
            texts[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in source_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_package_says_in_one_line_what_it_is() -> None:
    unsaid = [
        str(path.parent.relative_to(ROOT))
        for path in source_files()
        if path.name == "__init__.py" and not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert not unsaid


def test_no_committed_file_names_a_package_registry() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    found = {name for name, text in committed_texts().items() if REGISTRY.search(text)} - {here}
    assert not found


def test_no_committed_file_names_a_path_of_somebodys_machine() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    found = {name for name, text in committed_texts().items() if MACHINE_PATH.search(text)} - {here}
    assert not found


def test_no_type_error_is_silenced_in_the_sources() -> None:
    silenced = [str(path) for path in source_files() if "type: ignore" in path.read_text("utf-8")]
    assert not silenced


@pytest.mark.parametrize("name", ["build", "core", "demo", "test"])
def test_requirements_are_pinned_by_hash_and_never_pull_torch(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9_.-]+)==.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    lines = re.findall(r"^[a-z0-9_.-]+.*$", text, re.MULTILINE)
    assert pins
    assert len(pins) == len(lines), "every line pins one version and names its hashes"
    assert not {"torch", "torchvision"} & set(pins)


def test_an_extras_requirements_repeat_nothing_of_the_core() -> None:
    names = {
        name: set(
            re.findall(
                r"^([a-z0-9_.-]+)==",
                (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        for name in ("core", "demo", "test")
    }
    assert not names["core"] & names["demo"]
    assert not names["core"] & names["test"]
