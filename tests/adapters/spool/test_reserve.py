import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from burnish.adapters.ingest_metrics import IngestMetrics
from burnish.adapters.spool import outage, reserve
from burnish.adapters.spool.outage import Outage
from burnish.adapters.spool.reserve import Reserve
from burnish.adapters.spool.segments import NoRoom

SIZE = 1 << 20
FULL = OSError(errno.ENOSPC, "No space left on device")
Make = Callable[..., Any]


def taken(folder: Path) -> int:
    path = folder / "reserve"
    return path.stat().st_blocks * 512 if path.exists() else 0


def test_the_space_is_really_taken_given_up_on_a_full_disk_and_taken_again(tmp_path: Path) -> None:
    one = Reserve(tmp_path / "reserve", SIZE)
    assert one.held
    assert taken(tmp_path) >= SIZE
    assert not one.relieve(OSError(errno.EIO, "Input/output error"))
    assert one.relieve(FULL)
    assert (one.held, taken(tmp_path)) == (False, 0)
    assert not one.relieve(FULL)  # it helps once
    assert one.refill()
    assert taken(tmp_path) >= SIZE
    assert Reserve(tmp_path / "reserve", 2 * SIZE).held
    assert taken(tmp_path) >= 2 * SIZE


def test_on_a_disk_that_is_full_already_there_is_none_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _offset: int, _size: int) -> None:
        raise FULL

    monkeypatch.setattr(reserve.os, "posix_fallocate", full)
    one = Reserve(tmp_path / "reserve", SIZE)
    assert not one.held
    assert not one.refill()
    assert list(tmp_path.iterdir()) == []


def test_while_the_space_is_given_up_records_are_refused_and_then_taken_again(
    bench: Any, incoming: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(incoming(1))
    allocate = os.posix_fallocate

    def full(_handle: int, _offset: int, _size: int) -> None:
        raise FULL

    bench.spool.reserve.relieve(FULL)
    monkeypatch.setattr(reserve.os, "posix_fallocate", full)
    with pytest.raises(NoRoom) as refused:
        bench.append(incoming(2))
    assert refused.value.facts["retry_after"] == 10
    assert bench.ship() == 1
    monkeypatch.setattr(reserve.os, "posix_fallocate", allocate)
    assert [one.offset for one in bench.append(incoming(2))] == [1]
    assert bench.spool.reserve.held


def test_uploads_that_fail_for_ten_minutes_are_said_to_once_and_so_is_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(outage.time, "monotonic", lambda: clock[0])
    one = Outage("raw_log", IngestMetrics(CollectorRegistry()))
    with capture_logs() as said:
        for moment in (1000.0, 1300.0, 1599.0, 1600.0, 1700.0):
            clock[0] = moment
            one.failed(OSError("no route to host"))
        assert one.seconds() == 700
        one.over()
        assert one.seconds() == 0
        one.over()
    levels = [(line["event"], line["log_level"]) for line in said]
    assert levels == [
        *[("upload.retry", "warning")] * 3,
        ("upload.failing", "critical"),
        ("upload.retry", "warning"),
        ("upload.recovered", "info"),
    ]
