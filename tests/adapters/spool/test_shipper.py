from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.raw_object import RawLogDamaged
from burnish.adapters.sql.raw_log import ManifestConflict, SqlManifest
from burnish.feedback.model import Outcome, RawObject, Receipt

Make = Callable[..., Any]


def test_what_was_accepted_is_in_the_raw_log_verbatim_and_in_order(
    bench: Any, incoming: Make
) -> None:
    bodies = ['{"a": 1}', '{ "b" :\t"é\\u0000" }', '"\U0001f9fa"']
    bench.append(*(incoming(number, body) for number, body in enumerate(bodies)))
    assert bench.ship() == 3
    found = bench.persisted()
    assert [(one.offset, one.id, one.body) for one in found] == [
        (number, f"r-{number}", body) for number, body in enumerate(bodies)
    ]
    assert [one.offset for one in bench.raw_log.read("7", 1, 2)] == [1]
    assert list(bench.raw_log.read("other", 0, 9)) == []


def test_nothing_is_sealed_before_its_time_and_all_of_it_on_request(
    bench: Any, incoming: Make, waited: Make
) -> None:
    shipper = bench.start_shipper()
    bench.append(incoming(1))
    assert bench.spool.persisted_offset == 0
    assert waited(shipper.seal) == 1
    assert waited(shipper.seal) == 1  # nothing to do is done at once
    assert bench.spool.backlog.records == bench.spool.backlog.bytes == 0
    assert bench.spool.backlog.lag_s() == 0


def test_records_are_sealed_by_age(bench: Any, incoming: Make, eventually: Make) -> None:
    bench.start_shipper(seal_seconds=0.05)
    bench.append(incoming(1))
    eventually(lambda: bench.spool.persisted_offset == 1)


def test_records_are_sealed_by_size_each_object_about_so_large(
    bench: Any, incoming: Make, eventually: Make
) -> None:
    for number in range(100):
        bench.append(incoming(number, '"%s"' % ("x" * 98)))
    size = sum(len(frame.lines) for frame, _ in bench.spool.read(0, 100))
    bench.start_shipper(seal_bytes=size // 10)
    eventually(lambda: bench.spool.persisted_offset >= 90)
    bench.ship()
    assert len(list(bench.objects.list("raw/"))) == 10
    assert [one.offset for one in bench.persisted()] == list(range(100))


def test_an_object_holds_one_hour_and_lies_under_it_even_if_the_clock_jumps(
    bench: Any, incoming: Make
) -> None:
    start = datetime(2026, 5, 1, 9, 59, 59, 999999, tzinfo=UTC)
    for number, shift in enumerate((0, 1, 2, -7200, 0)):
        bench.clock = lambda shift=shift: start + timedelta(seconds=shift)
        bench.append(incoming(number))
    bench.ship()
    name = "raw/dt=2026-05-01/hh={:02}/7/{:020}-{:020}.ndjson.zst"
    expected = [(9, 0, 0), (10, 1, 2), (7, 3, 3), (9, 4, 4)]
    assert set(bench.objects.list("raw/")) == {name.format(*one) for one in expected}
    assert [one.offset for one in bench.persisted()] == list(range(5))
    assert bench.persisted()[0].received_at == start


def test_shipped_segments_are_deleted_and_the_open_one_stays(
    make_bench: Make, tmp_path: Path, incoming: Make
) -> None:
    bench = make_bench(tmp_path, segment=200)
    for number in range(10):
        bench.append(incoming(number))
    folder = tmp_path / "spool" / "segments"
    assert len(list(folder.glob("*"))) > 4
    bench.ship()
    assert len(list(folder.glob("*"))) == 1
    assert list((tmp_path / "spool" / "sealed").glob("*")) == []


def test_an_outage_of_the_store_loses_and_doubles_nothing(
    bench: Any, incoming: Make, waited: Make, eventually: Make
) -> None:
    shipper = bench.start_shipper()
    bench.objects.down = True
    bench.append(incoming(1))
    answers: list[int] = []
    shipper.seal(answers.append)
    eventually(lambda: bench.objects.attempts > 3)
    assert bench.append(incoming(2), incoming(1)) == [
        Receipt(1, Outcome.ACCEPTED),
        Receipt(0, Outcome.DUPLICATE),
    ]
    assert (answers, bench.spool.persisted_offset) == ([], 0)
    assert bench.spool.backlog.records == 2
    bench.objects.lose_answers = 2  # stored, but we do not hear so
    bench.objects.down = False
    assert waited(shipper.seal) == 2
    assert [one.id for one in bench.persisted()] == ["r-1", "r-2"]
    assert b'burnish_upload_failures_total{what="raw_log"}' in bench.metrics.render()


def test_a_process_that_must_end_during_an_outage_leaves_its_records_to_the_next(
    bench: Any, incoming: Make, eventually: Make
) -> None:
    bench.objects.down = True
    bench.start_shipper()
    bench.append(incoming(1))
    assert not bench.stop_shipper(deadline_s=0.1)
    bench.close()
    bench.objects.down = False
    bench.open()
    bench.append(incoming(2))
    assert bench.ship() == 2
    assert [one.id for one in bench.persisted()] == ["r-1", "r-2"]


def test_a_manifest_row_may_be_repeated_but_not_changed_overlapped_or_left_behind_a_gap(
    bench: Any,
) -> None:
    manifest = SqlManifest(bench.engine)

    def entry(first: int, last: int, key: str) -> RawObject:
        return RawObject(
            shard="7",
            first_offset=first,
            last_offset=last,
            key=key,
            sha256="sha256:0",
            records=last - first + 1,
            bytes=9,
        )

    manifest.commit(entry(0, 4, "a"))
    manifest.commit(entry(0, 4, "a"))
    for bad in (entry(0, 4, "b"), entry(3, 9, "c"), entry(6, 9, "d")):
        with pytest.raises(ManifestConflict):
            manifest.commit(bad)
    manifest.commit(entry(5, 9, "e"))
    assert manifest.end() == {"7": 10}
    assert [one.key for one in manifest.covering("7", 4, 6)] == ["a", "e"]


def test_an_object_that_is_not_what_the_manifest_lists_is_not_believed(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1))
    bench.ship()
    key = next(bench.objects.list("raw/"))
    (bench.folder / "objects" / key).write_bytes(b"something else")
    with pytest.raises(RawLogDamaged):
        bench.persisted()
