import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.spool import compaction, frames, ledger
from burnish.adapters.spool.frames import Identity, body_hash, identity_of
from burnish.adapters.spool.identities import Identities
from burnish.adapters.spool.ledger import IdentitiesDamaged, Known
from burnish.feedback.model import Outcome, RawRecord, Receipt

ACCEPTED, DUPLICATE, CONFLICT = Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.CONFLICT
BODY = body_hash(b"{}")
Make = Callable[..., Any]


def real(number: int) -> Identity:
    return identity_of(b"app", b"r-%d" % number)


def alike(number: int) -> Identity:
    return Identity(b"\1" * 16, b"r-%d" % number)


def known(of: Callable[[int], Identity], first: int, end: int) -> dict[bytes, Known]:
    return {of(number).name: Known(of(number).hash, number, BODY) for number in range(first, end)}


class Home:
    """Identities in a folder, which may be closed and opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failures: list[BaseException] = []
        self.open: Identities | None = None

    def start(self, *, limit: int = 100) -> Identities:
        self.close()
        self.open = Identities(self.folder, failed=self.failures.append, limit=limit)
        self.open.start()
        return self.open

    def close(self) -> None:
        opened, self.open = self.open, None
        if opened is not None:
            opened.close()

    def runs(self) -> list[Path]:
        return sorted(self.folder.glob("*.run"))


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "identities")
    yield home
    home.close()


@pytest.mark.parametrize("of", [real, alike])
def test_each_of_many_is_itself_however_alike_the_hashes_are(
    home: Home, of: Callable[[int], Identity]
) -> None:
    # Given more identities than a block of a run holds, in several runs.
    identities = home.start(limit=200)
    for first in range(0, 500, 50):
        identities.add(known(of, first, first + 50), end=first + 50)

    # When they are looked for, in memory, on their way to disk, and after a start from disk.
    for opened in (identities, home.start()):
        found = opened.find([of(number) for number in range(520)])

        # Then each has its own offset, and a newcomer with the same hash has none.
        assert [one.offset if one else None for one in found] == [*range(500), *[None] * 20]
    assert home.failures == []


def test_many_flushes_leave_few_runs(home: Home, eventually: Make) -> None:
    identities = home.start(limit=10)
    for first in range(0, 3000, 10):
        identities.add(known(real, first, first + 10), end=first + 10)
    eventually(lambda: len(home.runs()) <= 6)
    assert all(identities.find([real(number) for number in range(3000)]))
    home.close()
    assert sum(int(path.stem.split("-")[1]) - int(path.stem.split("-")[0]) for path in home.runs())
    assert home.failures == []


def test_the_committer_goes_on_while_a_merge_takes_its_time(
    home: Home, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    merging, go_on = threading.Event(), threading.Event()
    merged = compaction.merged

    def slow(*runs: Any, parts: int) -> Any:
        merging.set()
        assert go_on.wait(20)
        return merged(*runs, parts=parts)

    monkeypatch.setattr(compaction, "merged", slow)
    identities = home.start(limit=10)
    for first in range(0, 20, 10):
        identities.add(known(real, first, first + 10), end=first + 10)
    assert merging.wait(20)
    for first in range(20, 500, 10):
        identities.add(known(real, first, first + 10), end=first + 10)
        assert all(identities.find([real(number) for number in range(first + 10)]))
    go_on.set()
    eventually(lambda: len(home.runs()) <= 6)
    assert home.failures == []


def test_a_full_disk_delays_a_run_and_loses_nothing(
    home: Home, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.adapters.spool.identities._RETRY_S", 0.01)
    tries = []
    write = ledger.os.pwrite

    def full(handle: int, data: bytes, at: int) -> int:
        tries.append(at)
        if len(tries) == 1:
            return write(handle, data[: len(data) // 2], at)
        if len(tries) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data, at)

    monkeypatch.setattr(ledger.os, "pwrite", full)
    identities = home.start(limit=10)
    identities.add(known(real, 0, 10), end=10)
    eventually(lambda: len(home.runs()) == 1)
    assert [one.offset for one in identities.find([real(n) for n in range(10)]) if one] == [
        *range(10)
    ]
    assert home.start().end == 10
    assert home.failures == []


def test_a_disk_that_is_full_at_the_start_delays_runs_and_keeps_their_order(
    home: Home, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.adapters.spool.identities._RETRY_S", 0.01)
    identities = home.open = Identities(home.folder, failed=home.failures.append, limit=10)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(ledger.os, "pwrite", full)
        identities.add(known(real, 0, 10), end=10)
    identities.add(known(real, 10, 20), end=20)
    assert all(identities.find([real(n) for n in range(20)]))
    identities.start()
    eventually(lambda: len(home.runs()) > 0)
    assert home.start().end == 20
    assert all(home.start().find([real(n) for n in range(20)]))
    assert home.failures == []


def test_another_error_of_the_disk_is_told(
    home: Home, eventually: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    identities = home.start(limit=10)
    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "fdatasync", broken)
        identities.add(known(real, 0, 10), end=10)
        eventually(lambda: len(home.failures) == 1)
    assert all(identities.find([real(number) for number in range(10)]))
    assert home.start().end == 0  # whoever opens it adds them again


@pytest.mark.parametrize("name", ["ledger", "*.run"])
def test_a_damaged_file_is_noticed_before_it_is_believed_and_rebuilt_at_the_next_start(
    home: Home, name: str
) -> None:
    home.start(limit=10).add(known(real, 0, 10), end=10)
    home.close()
    path = next(home.folder.glob(name))
    content = bytearray(path.read_bytes())
    content[4096 + 40 if name == "*.run" else 40] ^= 1
    path.write_bytes(content)

    identities = home.start()
    with pytest.raises(IdentitiesDamaged, match="start again"):
        identities.find([real(number) for number in range(10)])
    identities = home.start()
    assert identities.end == (10 if name == "*.run" else 0)
    found = identities.find([real(number) for number in range(10)])
    assert all(found) if name == "*.run" else not any(found)


def test_a_spool_keeps_two_records_apart_whose_hashes_agree(
    make_bench: Make, tmp_path: Path, incoming: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "identity_hash", lambda _name: b"\1" * 16)
    bench = make_bench(tmp_path, hot=4)
    given = [bench.append(incoming(number))[0] for number in range(30)]
    assert given == [Receipt(number, ACCEPTED) for number in range(30)]
    bench.close()
    bench.open()
    again = [incoming(number, "{}" if number % 2 else "[]") for number in range(31)]
    assert bench.append(*again) == [
        *(Receipt(number, DUPLICATE if number % 2 else CONFLICT) for number in range(30)),
        Receipt(30, ACCEPTED),
    ]


def test_a_start_reads_of_the_raw_log_only_what_is_in_no_run(
    make_bench: Make, tmp_path: Path, incoming: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(tmp_path, hot=4)
    bench.append(*(incoming(number) for number in range(10)))
    bench.ship()
    bench.close()
    read: list[int] = []
    history = bench.raw_log.read

    def counted(shard: str, first: int, end: int) -> Iterator[RawRecord]:
        for record in history(shard, first, end):
            read.append(record.offset)
            yield record

    monkeypatch.setattr(bench.raw_log, "read", counted)
    bench.open()
    assert read == []
    assert bench.append(incoming(3)) == [Receipt(3, DUPLICATE)]
    bench.close()

    # When the identities are lost, all of it is read again.
    (tmp_path / "spool" / "identities" / "ledger").unlink()
    bench.open()
    assert read == list(range(10))
    assert bench.append(incoming(3, "[]"), incoming(10)) == [
        Receipt(3, CONFLICT),
        Receipt(10, ACCEPTED),
    ]


def test_identities_of_records_that_the_disk_has_lost_are_forgotten(
    bench: Any, incoming: Make
) -> None:
    bench.append(incoming(1), incoming(2))
    bench.ship()
    bench.append(incoming(3))  # never persisted
    bench.close()
    (bench.folder / "spool" / "segments").rename(bench.folder / "lost")
    bench.open()
    assert bench.append(incoming(3), incoming(1)) == [Receipt(2, ACCEPTED), Receipt(0, DUPLICATE)]


def test_a_damaged_run_ends_the_spool_and_the_next_start_has_mended_it(
    make_bench: Make, tmp_path: Path, incoming: Make
) -> None:
    bench = make_bench(tmp_path, hot=2)
    bench.append(incoming(1), incoming(2))
    bench.close()
    (run,) = (tmp_path / "spool" / "identities").glob("*.run")
    content = bytearray(run.read_bytes())
    content[5000] ^= 1
    run.write_bytes(content)
    bench.open()
    with pytest.raises(Exception, match="stopped for good"):
        bench.append(incoming(1))
    assert isinstance(bench.failures[0], IdentitiesDamaged)
    bench.close()
    bench.open()
    assert bench.append(incoming(1), incoming(3)) == [Receipt(0, DUPLICATE), Receipt(2, ACCEPTED)]
