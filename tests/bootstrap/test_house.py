"""Given policy files in a data directory, when a role starts, then only what is new is imported."""

from pathlib import Path

import pytest

from burnish import config
from burnish.bootstrap.house import House
from burnish.kernel.audit import SYSTEM
from burnish.kernel.policy import parse_policy
from burnish.models.service import apply_policy

POLICY = 'name = "laundry"\nkind = "image-classification"\nlabels = ["good", "defect"]\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    write(tmp_path, POLICY)
    return tmp_path


def write(data: Path, text: str) -> None:
    (data / "models" / "laundry.toml").write_text(text)


def start(data: Path) -> tuple[int, float]:
    """Open the house as a role does; return the policy's revision and rollback line."""
    house = House.open(config.load(data, {}, environ={}), "control")
    try:
        with house.view() as view:
            model = view.models.get("laundry")
    finally:
        house.close()
    return model.revision, model.policy.monitor.rollback


def apply(data: Path, text: str) -> None:
    house = House.open(config.load(data, {}, environ={}), "control")
    try:
        with house.view() as view:
            revision = view.models.get("laundry").revision
        apply_policy(house.unit(), parse_policy(text), expected=revision, actor=SYSTEM)
    finally:
        house.close()


def line(value: float) -> str:
    return f"{POLICY}[monitor]\nrollback = {value}\n"


def test_a_policy_file_is_imported_at_the_first_start(data: Path) -> None:
    assert start(data) == (1, 0.80)


def test_a_restart_does_not_undo_what_was_applied_meanwhile(data: Path) -> None:
    start(data)
    apply(data, line(0.75))
    assert start(data) == (2, 0.75)


def test_a_file_that_was_edited_is_imported_again_also_back_to_what_it_was(data: Path) -> None:
    start(data)
    write(data, line(0.60))
    assert start(data) == (2, 0.60)
    write(data, POLICY)
    assert start(data) == (3, 0.80)
