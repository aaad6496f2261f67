"""A worker dies at every point of its gathering; the next one leaves all as if it had not."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from burnish.adapters.sql.schema_inputs import payload_contents, payload_sources
from burnish.feedback.quarantine import Selection
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from support.deaths import GATHERED, ways
from support.gatherer import Desk
from support.photos import photo

TESTS = Path(__file__).parents[1]
ROWS = 15


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "photos").mkdir()
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE judged (id INTEGER PRIMARY KEY, photo TEXT, label TEXT)")
        for number in range(ROWS):
            (tmp_path / "photos" / f"{number}.jpg").write_bytes(photo(number % 12))
            label = ("good", "defect", "torn")[number % 3]  # the last is none of ours
            shop.execute("INSERT INTO judged VALUES (?, ?, ?)", (number, f"{number}.jpg", label))
    shop.close()
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


@pytest.mark.parametrize("deaths", ways(GATHERED))
def test_deaths_leave_nothing_half_and_nothing_twice(desk: Desk, deaths: tuple[str, ...]) -> None:
    for point in deaths:
        died = _gather(desk, point)
        assert died.returncode == -signal.SIGKILL, (point, died.stderr)
    # More was judged before the next worker looked: a page read again may be another one.
    with sqlite3.connect(desk.folder / "shop.db") as shop:
        (desk.folder / "photos" / "late.jpg").write_bytes(photo(12))
        shop.execute("INSERT INTO judged VALUES (99, 'late.jpg', 'good')")
    shop.close()
    desk.gathering.for_run(desk.policy)

    lines = list(desk.raw_log.read("sql.laundry.tasks", 0, 10**6))
    kept = [number for number in range(ROWS) if number % 3 != 2]
    assert [one.offset for one in lines] == list(range(len(kept) + 1))
    assert [one.id for one in lines] == [f"{number}@{number}" for number in [*kept, 99]]
    with desk.view() as view:
        counts = {one.code: one.entries for one in view.quarantine.counts(Selection())}
        verdicts = view.feedback.newest(model="laundry", limit=100)
    assert counts == {"unknown_label": ROWS - len(kept)}
    assert len(verdicts) == len(lines)
    with desk.engine.connect() as connection:
        fetched = {row.uri: row.sha256 for row in connection.execute(select(payload_sources))}
        seen = [row.sha256 for row in connection.execute(select(payload_contents))]
    expected = {digest(photo(number % 12)) for number in kept} | {digest(photo(12))}
    assert set(fetched.values()) == set(seen) == expected
    assert len(seen) == len(expected)
    assert all(desk.objects.exists(payload_key(one)) for one in expected)


def _gather(desk: Desk, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "support.gatherer", str(desk.folder)],
        env={**os.environ, "BURNISH_CRASH_AT": point},
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
