import errno
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from burnish.adapters import files
from burnish.adapters.spool import segments
from burnish.adapters.spool.group import Closed
from burnish.adapters.spool.identities import Identities
from burnish.adapters.spool.ledger import IdentitiesDamaged
from burnish.adapters.spool.log import SpoolLocked
from burnish.adapters.spool.segments import NoRoom, SpoolDamaged, SpoolForeign
from burnish.adapters.system import utc_now
from burnish.feedback.model import Backpressure, Outcome, Receipt

ACCEPTED, DUPLICATE, CONFLICT = Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.CONFLICT
Make = Callable[..., Any]


def test_a_record_gets_the_next_offset_a_copy_the_first_ones_another_body_a_conflict(
    bench: Any, incoming: Make
) -> None:
    given = bench.append(incoming(1), incoming(2), incoming(1), incoming(2, '{"other": 1}'))
    assert given == [
        Receipt(0, ACCEPTED),
        Receipt(1, ACCEPTED),
        Receipt(0, DUPLICATE),
        Receipt(1, CONFLICT),
    ]
    assert bench.append(incoming(2)) == [Receipt(1, DUPLICATE)]
    assert bench.append(incoming(1, source="elsewhere")) == [Receipt(2, ACCEPTED)]


def test_what_was_answered_is_there_after_a_crash_and_still_known_once_it_was_shipped(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1), incoming(2))
    bench.close()
    bench.open()
    assert bench.append(incoming(1), incoming(3)) == [Receipt(0, DUPLICATE), Receipt(2, ACCEPTED)]
    assert bench.ship() == 3
    bench.close()
    bench.open()
    assert bench.append(incoming(1), incoming(2, "[]"), incoming(4)) == [
        Receipt(0, DUPLICATE),
        Receipt(1, CONFLICT),
        Receipt(3, ACCEPTED),
    ]


def test_a_duplicate_of_a_record_in_flight_waits_for_its_sync(
    bench: Any, incoming: Make, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, go_on = threading.Event(), threading.Event()
    sync = segments.os.fdatasync

    def held(handle: int) -> None:
        syncing.set()
        go_on.wait()
        sync(handle)

    monkeypatch.setattr(segments.os, "fdatasync", held)
    answers: list[Any] = []
    first = threading.Thread(target=bench.spool.append, args=([incoming(1)], answers.append))
    first.start()
    assert syncing.wait(10)
    bench.spool.append([incoming(1)], answers.append)
    assert answers == []
    go_on.set()
    eventually(lambda: len(answers) == 2)
    first.join()
    assert answers == [[Receipt(0, ACCEPTED)], [Receipt(0, DUPLICATE)]]


def test_what_queues_up_during_a_sync_is_one_group(
    bench: Any, incoming: Make, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    sync = segments.os.fdatasync
    syncs: list[int] = []

    def held(handle: int) -> None:
        syncs.append(handle)
        entered.set()
        go_on.wait()
        sync(handle)

    monkeypatch.setattr(segments.os, "fdatasync", held)
    answers: list[Any] = []
    first = threading.Thread(target=bench.spool.append, args=([incoming(0)], answers.append))
    first.start()
    assert entered.wait(10)
    for number in range(1, 101):
        bench.spool.append([incoming(number)], answers.append)
    go_on.set()
    eventually(lambda: len(answers) == 101)
    first.join()
    assert len(syncs) == 2
    assert [one[0].offset for one in answers] == list(range(101))


def test_a_failed_sync_is_the_end_nothing_is_answered_well_and_nothing_tried_again(
    bench: Any, incoming: Make, waited: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(incoming(1))
    syncs = 0

    def broken(_handle: int) -> None:
        nonlocal syncs
        syncs += 1
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "fdatasync", broken)
        with pytest.raises(Closed, match="stopped for good"):
            bench.append(incoming(2))
        with pytest.raises(Closed):
            bench.spool.append([incoming(3)], lambda _: None)
    assert syncs == 1
    assert bench.spool.failure() is not None
    assert isinstance(bench.failures[0], OSError)
    bench.close()
    bench.open()
    assert bench.append(incoming(1)) == [Receipt(0, DUPLICATE)]


def test_a_full_disk_refuses_the_group_and_leaves_the_log_whole(
    bench: Any, incoming: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(incoming(1))
    write = segments.os.pwrite

    def half_written(handle: int, data: bytes, position: int) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return write(handle, data[: len(data) // 2], position)

    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "pwrite", half_written)
        with pytest.raises(NoRoom, match="No space left"):
            bench.append(incoming(2))
    assert bench.append(incoming(3)) == [Receipt(1, ACCEPTED)]
    bench.close()
    bench.open()
    assert bench.append(incoming(2)) == [Receipt(2, ACCEPTED)]


def test_a_sender_that_fails_at_its_answer_concerns_nobody_else(bench: Any, incoming: Make) -> None:
    def gone(_answer: object) -> None:
        raise RuntimeError("the client has left")

    bench.spool.append([incoming(1)], gone)
    assert bench.append(incoming(2)) == [Receipt(1, ACCEPTED)]


def test_a_second_process_is_kept_out(bench: Any) -> None:
    with pytest.raises(SpoolLocked):
        bench.open()


def test_above_high_water_records_are_refused_until_the_backlog_is_below_low_water(
    make_bench: Make, tmp_path: Path, incoming: Make
) -> None:
    bench = make_bench(tmp_path, high_water=20_000, low_water=10_000)

    def fill() -> None:
        while True:
            bench.append(incoming(bench.spool.end, '"%s"' % ("x" * 500)))

    with pytest.raises(Backpressure) as refused:
        fill()
    accepted = bench.spool.end
    assert 20 < accepted < 50
    assert refused.value.facts["retry_after"] >= 1
    with pytest.raises(Backpressure):
        bench.append(incoming(5000))  # small, but the spool is not below low water yet
    bench.ship()
    assert bench.append(incoming(5000)) == [Receipt(accepted, ACCEPTED)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "zeroed"])
def test_a_torn_tail_at_any_byte_costs_the_last_record_alone(
    tmp_path: Path, incoming: Make, make_bench: Make, damage: str
) -> None:
    bench = make_bench(tmp_path, segment=2000)
    bench.append(incoming(1))
    before = bench.written()
    bench.append(incoming(2))
    end = bench.written()
    whole = bench.last_segment().read_bytes()
    for position in range(before, end):
        bench.close()
        torn = bytearray(whole)
        match damage:
            case "cut":
                torn = torn[:position]
            case "flipped":
                torn[position] ^= 0x10
            case _:
                torn[position:] = bytes(len(torn) - position)
        bench.last_segment().write_bytes(bytes(torn))
        bench.open()
        assert bench.spool.end == 1, position
        assert bench.append(incoming(1), incoming(2)) == [
            Receipt(0, DUPLICATE),
            Receipt(1, ACCEPTED),
        ]


def test_damage_to_an_acknowledged_group_is_not_taken_for_a_torn_tail(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1))
    place = bench.written()
    bench.append(incoming(2))
    bench.append(incoming(3))
    data = bytearray(bench.last_segment().read_bytes())
    data[place + 30] ^= 1
    bench.close()
    bench.last_segment().write_bytes(data)
    with pytest.raises(SpoolDamaged, match="offset 1"):
        bench.open()
    data[place + 30] ^= 1
    bench.last_segment().write_bytes(data)
    bench.open()


def test_a_torn_group_of_several_records_is_cut_whole_or_in_part(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1))
    place = bench.written()
    bench.append(incoming(2), incoming(3), incoming(4))
    bench.close()
    data = bytearray(bench.last_segment().read_bytes())
    data[place : place + 10] = bytes(10)  # its first page never reached the disk, its last did
    bench.last_segment().write_bytes(data)
    bench.open()
    assert bench.append(incoming(3)) == [Receipt(1, ACCEPTED)]


def test_the_open_segment_has_its_length_from_the_beginning_also_after_a_start(
    make_bench: Make, tmp_path: Path, incoming: Make
) -> None:
    size = 64 << 10
    bench = make_bench(tmp_path, segment=size)
    for number in range(3):
        bench.append(incoming(number))
        found = bench.last_segment().stat()
        assert found.st_size == size <= found.st_blocks * 512
        bench.close()
        with capture_logs() as said:
            bench.open()
        assert said == []  # zeros are no torn tail


def test_a_group_that_is_longer_than_what_is_left_of_a_segment_makes_it_grow(
    make_bench: Make, tmp_path: Path, incoming: Make
) -> None:
    bench = make_bench(tmp_path, segment=2000)
    bench.append(*map(incoming, range(40)))
    assert bench.written() == bench.last_segment().stat().st_size > 2000
    bench.append(incoming(40))
    assert 0 < bench.written() < bench.last_segment().stat().st_size == 2000
    bench.close()
    bench.open()
    assert bench.append(incoming(40)) == [Receipt(40, DUPLICATE)]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_disk_without_room_for_a_whole_segment_it_grows_with_its_frames(
    make_bench: Make,
    tmp_path: Path,
    incoming: Make,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
) -> None:
    bench = make_bench(tmp_path, segment=1000)

    def full(handle: int, _offset: int, size: int) -> None:
        os.ftruncate(handle, size)  # it got some of it
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(files.os, "posix_fallocate", full)
    bench.append(*map(incoming, range(20)))
    for number in range(20, 23):
        assert bench.append(incoming(number)) == [Receipt(number, ACCEPTED)]
        assert bench.written() == bench.last_segment().stat().st_size < 1000


def test_a_segment_that_is_closed_early_keeps_only_its_frames_and_the_next_one_takes_no_room(
    tmp_path: Path,
) -> None:
    log = segments.Segments(tmp_path, start=0, segment_bytes=64 << 10)
    log.append(b"a frame", 1)
    log.sync()
    log.retire()
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.seg"))]
    assert len(sizes) == 2
    assert max(sizes) < 100
    log.close()


def test_a_segment_of_another_version_is_named_as_such_and_left_as_it_is(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1))
    bench.close()
    path = bench.last_segment()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"SPOOL 2", b"SPOOL 1", 1))
    with pytest.raises(SpoolForeign, match="another version"):
        bench.open()
    path.write_bytes(path.read_bytes().replace(b"SPOOL 1", b"SPOOL 2", 1))
    assert path.read_bytes() == data
    bench.open()
    assert bench.spool.end == 1


def test_a_missing_segment_is_damage(make_bench: Make, tmp_path: Path, incoming: Make) -> None:
    bench = make_bench(tmp_path, segment=100)
    for number in range(6):
        bench.append(incoming(number))
    bench.close()
    found = sorted((tmp_path / "spool" / "segments").glob("*.seg"))
    assert len(found) > 3
    for position in (0, 1):
        kept = found[position].read_bytes()
        found[position].unlink()
        with pytest.raises(SpoolDamaged):
            bench.open()
        found[position].write_bytes(kept)
    bench.open()


def test_a_spool_on_a_new_disk_goes_on_where_the_raw_log_ends(bench: Any, incoming: Make) -> None:
    bench.append(incoming(1), incoming(2))
    bench.ship()
    bench.close()
    (bench.folder / "spool").rename(bench.folder / "lost")
    bench.open()
    assert bench.append(incoming(1), incoming(3)) == [Receipt(0, DUPLICATE), Receipt(2, ACCEPTED)]
    bench.ship()
    assert [one.id for one in bench.persisted()] == ["r-1", "r-2", "r-3"]


def test_a_segment_that_was_only_half_begun_is_begun_anew(
    bench: Any, incoming: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(incoming(1))
    with monkeypatch.context() as broken:
        broken.setattr(segments.os, "pwrite", raising(OSError(errno.ENOSPC, "full")))
        broken.setattr(files, "sync_folder", raising(OSError(errno.EMFILE, "too many files")))
        with pytest.raises(NoRoom):
            bench.append(incoming(2))
    assert bench.append(incoming(3)) == [Receipt(1, ACCEPTED)]
    bench.close()
    bench.open()
    assert bench.append(incoming(3)) == [Receipt(1, DUPLICATE)]


def test_a_look_up_that_fails_tells_no_sender_a_second_time(
    bench: Any, incoming: Make, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a group of one record and one look-up, behind another group.
    syncing, go_on = threading.Event(), threading.Event()
    sync = segments.os.fdatasync

    def held(handle: int) -> None:
        syncing.set()
        assert go_on.wait(20)
        sync(handle)

    monkeypatch.setattr(segments.os, "fdatasync", held)
    told: list[Any] = []
    bench.spool.append([incoming(1, '"%s"' % ("x" * 70_000))], told.append)
    assert syncing.wait(20)
    bench.spool.append([incoming(2)], told.append)
    bench.spool.find("app", "nobody", told.append)

    # When the look-up finds its file damaged.
    find = Identities.find

    def damaged(self: Identities, identities: Any) -> Any:
        if any(b"nobody" in one.name for one in identities):
            raise IdentitiesDamaged("a block is wrong")
        return find(self, identities)

    monkeypatch.setattr(Identities, "find", damaged)
    go_on.set()

    # Then the record has its receipt, and only the look-up its failure.
    eventually(lambda: len(told) == 3)
    assert told[:2] == [[Receipt(0, ACCEPTED)], [Receipt(1, ACCEPTED)]]
    assert isinstance(told[2], Closed)
    with pytest.raises(Closed):
        bench.append(incoming(3))
    assert len(told) == 3
    assert len(bench.failures) == 1


def test_a_record_is_as_old_after_a_start_as_it_was_before(bench: Any, incoming: Make) -> None:
    bench.clock = lambda: utc_now() - timedelta(minutes=8)
    bench.append(incoming(1))
    bench.clock = utc_now
    bench.close()
    bench.open()
    assert 480 <= bench.spool.backlog.lag_s() < 500
    bench.ship()
    assert bench.spool.backlog.lag_s() == 0


def raising(error: OSError) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail
