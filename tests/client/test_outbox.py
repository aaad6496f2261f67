"""The outbox on disk: what it took survives, whatever the crash left behind."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from burnish.client.outbox import (
    BufferFull,
    Memory,
    Outbox,
    OutboxDamaged,
    OutboxError,
    OutboxLocked,
)

SEGMENT = 100  # bytes: every few lines a new file
LINES = st.binary(max_size=40).filter(lambda line: b"\n" not in line)


def opened(folder: Path, *, max_bytes: int = 1 << 20) -> Outbox:
    return Outbox(folder, max_bytes=max_bytes, segment_bytes=SEGMENT)


def drained(outbox: Outbox) -> list[bytes]:
    lines: list[bytes] = []
    while batch := outbox.head(3, 1000):
        lines += batch
        outbox.drop(len(batch))
    return lines


class OutboxMachine(RuleBasedStateMachine):
    """Against a list: append, deliver, start again; a start may repeat what was delivered."""

    @initialize(data=st.uuids())
    def begin(self, data: object) -> None:
        self.folder = Path(os.environ["OUTBOX_TEST"]) / str(data)
        self.outbox = opened(self.folder)
        self.expected: list[bytes] = []

    @rule(lines=st.lists(LINES, min_size=1, max_size=5))
    def append(self, lines: list[bytes]) -> None:
        self.outbox.append(lines)
        self.expected += lines

    @rule(count=st.integers(1, 5), size=st.integers(1, 200), part=st.floats(0, 1))
    def deliver(self, count: int, size: int, part: float) -> None:
        shown = self.outbox.head(count, size)
        assert shown == self.expected[: len(shown)]
        assert bool(shown) == bool(self.expected)
        dropped = round(len(shown) * part)
        if dropped:
            self.outbox.drop(dropped)
            del self.expected[:dropped]

    @rule(torn=st.binary(max_size=30))
    def crash(self, torn: bytes) -> None:
        self.outbox.close()
        files = sorted(self.folder.glob("*.ndjson"))
        if files and not torn.endswith(b"\n"):
            with files[-1].open("ab") as file:
                file.write(torn)
        self.outbox = opened(self.folder)
        again = len(self.outbox) - len(self.expected)
        lines = self.outbox.head(again + len(self.expected) + 1, 1 << 20)
        assert 0 <= again <= SEGMENT
        self.expected = (
            lines[:again] + self.expected  # delivered, but of a file that was not through
        )

    @invariant()
    def as_many_wait_as_were_not_delivered(self) -> None:
        if hasattr(self, "outbox"):
            assert len(self.outbox) == len(self.expected)
            assert bool(list(self.folder.glob("*.ndjson"))) == bool(self.expected)

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            assert drained(self.outbox) == self.expected
            assert self.outbox.size == 0
            self.outbox.close()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX_TEST", str(tmp_path))


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=25)  # each step syncs


@given(cut=st.integers(0, 60), flip=st.integers(0, 255), data=st.uuids())
def test_a_tail_torn_at_any_byte_costs_nothing_before_it(cut: int, flip: int, data: object) -> None:
    folder = Path(os.environ["OUTBOX_TEST"]) / str(data)
    outbox = Outbox(folder, max_bytes=1 << 20)
    outbox.append([b"first", b"second"])
    outbox.append([b"third " + b"x" * 45])
    outbox.close()
    (file,) = folder.glob("*.ndjson")
    whole = file.read_bytes()
    broken = bytearray(whole[: len(whole) - cut])
    if flip and cut < 60:
        broken[-1] ^= flip
    file.write_bytes(broken)
    outbox = Outbox(folder, max_bytes=1 << 20)
    kept = [b"first", b"second"] if bytes(broken) != whole else None
    assert drained(outbox) == (kept or [b"first", b"second", b"third " + b"x" * 45])
    outbox.append([b"goes on"])
    assert drained(outbox) == [b"goes on"]
    outbox.close()


def test_damage_that_no_crash_makes_is_told_with_file_and_place(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    for number in range(20):
        outbox.append([b"%d" % number * 10])
    outbox.close()
    first = min(tmp_path.glob("*.ndjson"))
    first.write_bytes(b"?" + first.read_bytes()[1:])
    with pytest.raises(OutboxDamaged, match=f"{first.name} is broken at byte 0: save"):
        opened(tmp_path)


@given(at=st.integers(0, 91), bit=st.integers(0, 7))
def test_a_broken_line_before_a_whole_one_is_told_and_left_as_it_is(at: int, bit: int) -> None:
    """Also where the broken byte is the end of its line, which then runs into the next."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["OUTBOX_TEST"]))
    outbox = Outbox(folder, max_bytes=1 << 20)
    for number in range(5):
        outbox.append([b'{"n":%d,"o":0}' % number])
    outbox.close()
    (file,) = folder.glob("*.ndjson")
    broken = bytearray(file.read_bytes())
    assert len(broken) == 5 * 23
    broken[at] ^= 1 << bit
    file.write_bytes(broken)
    with pytest.raises(OutboxDamaged, match=f"{file.name} is broken at byte {at // 23 * 23}: "):
        Outbox(folder, max_bytes=1 << 20)
    assert file.read_bytes() == broken


def test_one_client_at_a_time_has_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(OutboxLocked, match="another client's outbox: close that one"):
        opened(tmp_path)
    outbox.close()
    opened(tmp_path).close()
    with pytest.raises(OutboxError, match="closed"):
        outbox.append([b"late"])


def test_a_full_outbox_says_so_and_takes_again_once_delivered(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=200)
    outbox.append([b"x" * 80])
    outbox.append([b"y" * 80])
    with pytest.raises(BufferFull, match=r"2 records wait in .* may take 200 bytes: .*flush"):
        outbox.append([b"z" * 80])
    assert drained(outbox) == [b"x" * 80, b"y" * 80]
    outbox.append([b"z" * 80])
    outbox.close()


def test_memory_is_bounded_too() -> None:
    memory = Memory(10)
    memory.append([b"x" * 80])  # one goes always, however large
    with pytest.raises(BufferFull, match="1 records wait in memory"):
        memory.append([b"y"])
    assert memory.head(5, 5) == [b"x" * 80]
    memory.drop(1)
    memory.append([b"y"])
    assert len(memory) == 1


def test_a_write_that_fails_takes_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    """Under a file-size limit, as a full disk answers it: in a process of its own."""
    program = f"""
import resource, signal
from pathlib import Path
from burnish.client.outbox import Outbox, OutboxError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
outbox = Outbox(Path({str(tmp_path / "o")!r}), max_bytes=1 << 20)
outbox.append([b"before"])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, {resource.RLIM_INFINITY}))
try:
    outbox.append([b"x" * 50, b"y" * 50])
except OutboxError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
outbox.append([b"after"])
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "takes no more: File too large" in said
    outbox = opened(tmp_path / "o")
    assert drained(outbox) == [b"before", b"after"]
    outbox.close()
