"""Disks that lose power, fill up, fail to sync, or are slow: what was acknowledged survives."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path

import pytest

from support import raw_reader
from support.disks import LoopDisk
from support.intake import Intake, Load, encode, until
from support.raw_reader import fingerprint
from support.s3 import S3Server

Make = Callable[..., Intake]
FIU = Path("/usr/lib/fiu")
SLOW_SYNC_S = 0.3
MIB = 1 << 20


def raw(folder: Path) -> list[raw_reader.Line]:
    return raw_reader.lines_of(raw_reader.local(folder / "objects"))


def acknowledged_before_a_power_cut(intake: Intake, disk: LoopDisk) -> dict[str, bytes]:
    """Cut the power under load, and give it back."""
    intake.start()
    with Load(intake) as load:
        until(lambda: len(load.acknowledged) > 1000, intake.log)
        disk.cut_power()
        intake.kill()
        load.give_up()
    disk.unmount()
    disk.mount()
    return load.acknowledged


def test_a_power_cut_under_load_loses_nothing_acknowledged(
    loop_disk: LoopDisk, make_intake: Make
) -> None:
    intake = make_intake(loop_disk.folder, seal_seconds=0.1, segment_bytes=20_000)
    acknowledged = acknowledged_before_a_power_cut(intake, loop_disk)
    intake.start()
    intake.seal()
    raw_reader.check(raw(loop_disk.folder), acknowledged, others=True)


def test_control_without_its_syncs_a_power_cut_does_lose_what_was_acknowledged(
    loop_disk: LoopDisk, make_intake: Make
) -> None:
    # Nothing is sealed meanwhile: the database's own syncs would save records by the way.
    intake = make_intake(loop_disk.folder, segment_bytes=20_000, sync=False)
    acknowledged = acknowledged_before_a_power_cut(intake, loop_disk)
    kept = b"".join(path.read_bytes() for path in loop_disk.folder.rglob("*.seg"))
    assert any(f'"{name}"'.encode() not in kept for name in acknowledged)


@pytest.mark.parametrize("segment_bytes", [512 << 10, 64 * MIB])  # many; the open one alone
def test_a_full_disk_is_said_so_and_emptied_as_soon_as_the_store_is_back(
    s3: S3Server, small_disk: Callable[[int], Path], make_intake: Make, segment_bytes: int
) -> None:
    # Given a spool on a small disk while the store does not answer.
    url = s3.url()
    disk = small_disk(8 * MIB)
    intake = make_intake(
        disk,
        segment_bytes=segment_bytes,
        seal_bytes=512 << 10,
        seal_seconds=0.2,
        reserve_bytes=2 * MIB,
        s3_url=url,
        s3_endpoint=s3.endpoint,
        s3_timeout_s=1.0,
    )
    intake.start()
    s3.hang()

    # When somebody else takes half of what is left, and it fills up.
    (disk / "somebody-elses").write_bytes(bytes(shutil.disk_usage(disk).free // 2))
    acknowledged: dict[str, bytes] = {}

    numbers = count()

    def accepted(records: int = 1) -> bool:
        batch = {
            name: encode(name, reason="x" * 3000).decode()
            for name in (f"r-{number}" for number in islice(numbers, records))
        }
        body = "\n".join(batch.values()).encode()
        status, answer = intake.call("POST", "/v1/feedback/batch", body)
        if status == 200:
            acknowledged.update({name: fingerprint(text) for name, text in batch.items()})
        else:
            assert (status, answer["code"]) == (503, "spool.no_room"), answer
        return status == 200

    while accepted(50):
        pass
    while accepted():  # what fits in the segment's last page
        pass

    # Then what cannot be accepted is quarantined still, and good records are refused still.
    status, answer = intake.send(10_000, reason="x" * (MIB // 2))  # far too long
    assert (status, answer["code"]) == (422, "malformed_feedback_event"), answer
    assert intake.metric("burnish_spool_reserve_held") == 0
    assert not accepted()

    # And when the store is back, all of it is persisted, and records are taken again.
    s3.go_on()
    until(accepted, intake.log)
    assert intake.seal() == len(acknowledged)
    raw_reader.check(raw_reader.lines_of(raw_reader.bucket(url, s3.endpoint)), acknowledged)
    until(lambda: intake.metric("burnish_quarantine_waiting_bytes") == 0, intake.log)
    assert len(list(s3.objects(url).list("quarantine/"))) == 1
    assert accepted()
    assert intake.metric("burnish_spool_reserve_held") == 1  # before a record is taken


def test_on_a_full_disk_it_starts_with_what_it_has_set_aside(
    s3: S3Server, small_disk: Callable[[int], Path], make_intake: Make
) -> None:
    url = s3.url()
    disk = small_disk(8 * MIB)
    options = {"s3_url": url, "s3_endpoint": s3.endpoint, "s3_timeout_s": 1.0}
    intake = make_intake(disk, segment_bytes=MIB, reserve_bytes=2 * MIB, **options)
    intake.start()
    bodies = {f"r-{number}": encode(f"r-{number}", reason="x" * 3000) for number in range(200)}
    for name in bodies:
        assert intake.call("POST", "/v1/feedback", bodies[name])[0] == 202
    intake.kill()

    with (disk / "somebody-elses").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    intake.start()

    assert intake.seal() == len(bodies)
    kept = {name: fingerprint(body.decode()) for name, body in bodies.items()}
    raw_reader.check(raw_reader.lines_of(raw_reader.bucket(url, s3.endpoint)), kept)


def test_a_disk_that_fails_to_sync_ends_the_process_and_loses_nothing_acknowledged(
    make_intake: Make,
) -> None:
    if not (FIU / "fiu_posix_preload.so").exists():
        pytest.skip("failing syncs need libfiu: apt-get install fiu-utils")
    intake = make_intake(seal_seconds=0.05, segment_bytes=20_000, drain_s=0.5)
    preload = f"{FIU / 'fiu_run_preload.so'} {FIU / 'fiu_posix_preload.so'}"
    control = str(intake.data / "fiu")
    intake.start(environ={"LD_PRELOAD": preload, "FIU_CTRL_FIFO": control})
    with Load(intake) as load:
        until(lambda: len(load.acknowledged) > 200, intake.log)
        subprocess.run(
            ["fiu-ctrl", "-f", control, "-c", "enable name=posix/io/sync/*", str(intake.pid)],
            check=True,
        )
        until(lambda: not intake.lives(), intake.log)
        assert "spool.failed" in (intake.data / "log").read_text()
        intake.start()
    intake.seal()
    raw_reader.check(raw(intake.data), load.acknowledged)


@contextmanager
def slow_syncs(pid: int, seconds: float) -> Iterator[None]:
    """Have each `fdatasync` of a process take longer."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("slow syncs need strace: apt-get install strace")
    delay = f"inject=fdatasync:delay_enter={int(seconds * 1_000_000)}"
    tracer = subprocess.Popen(
        [program, "-f", "-p", str(pid), "-e", "trace=fdatasync", "-e", delay],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        tracer.wait()
        pytest.skip(f"a process cannot be traced here: {said}")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def test_on_a_disk_that_syncs_slowly_answers_wait_and_share_the_wait(make_intake: Make) -> None:
    intake = make_intake()
    intake.start()
    assert intake.send(0)[0] == 202
    before = intake.metric("burnish_spool_sync_seconds_sum")
    count = intake.metric("burnish_spool_sync_seconds_count")
    with slow_syncs(intake.pid, SLOW_SYNC_S), ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda number: intake.send(number)[0], range(1, 33)))
    assert answers == [202] * 32
    syncs = intake.metric("burnish_spool_sync_seconds_count") - count
    assert intake.metric("burnish_spool_sync_seconds_sum") - before >= SLOW_SYNC_S * syncs
    assert syncs < 32
    assert intake.seal() == 33
    assert len(raw(intake.data)) == 33
