"""Identities against a model of them: a dictionary of everything that was ever added."""

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from burnish.adapters.spool import compaction
from burnish.adapters.spool.frames import Identity, body_hash
from burnish.adapters.spool.identities import Identities
from burnish.adapters.spool.ledger import IdentitiesDamaged, Known

HASHES = 5  # all there are: nearly every find meets others' names
NUMBERS = st.integers(0, 400)
GROUPS = st.lists(st.tuples(NUMBERS, st.sampled_from([b"{}", b"[]"])), min_size=1, max_size=60)


def identity(number: int) -> Identity:
    return Identity(bytes([number % HASHES]) * 16, b"name-%d" % number)


class IdentitiesMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="identities-"))
        self.log: list[tuple[bytes, Known]] = []  # as spool and raw log would have it
        self.model: dict[bytes, Known] = {}
        self.failures: list[BaseException] = []

    @initialize(limit=st.integers(1, 40), background=st.booleans())
    def begin(self, limit: int, background: bool) -> None:
        self.limit, self.background = limit, background
        self.open()

    def open(self) -> None:
        self.identities = Identities(self.folder, failed=self.failures.append, limit=self.limit)
        assert self.identities.end <= len(self.log)
        for name, known in self.log[self.identities.end :]:
            self.identities.add({name: known}, end=known.offset + 1)
        if self.background:
            self.identities.start()

    def find(self, numbers: Sequence[int]) -> list[Known | None]:
        return self.identities.find([identity(number) for number in numbers])

    @rule(group=GROUPS)
    def a_group_is_committed(self, group: list[tuple[int, bytes]]) -> None:
        known = self.find([number for number, _ in group])
        assert known == [self.model.get(identity(number).name) for number, _ in group]
        fresh: dict[bytes, Known] = {}
        for number, body in group:
            one = identity(number)
            if one.name not in self.model:
                fresh[one.name] = Known(one.hash, len(self.log), body_hash(body))
                self.model[one.name] = fresh[one.name]
                self.log.append((one.name, fresh[one.name]))
        if fresh:
            self.identities.add(fresh, end=len(self.log))

    def everyone_is_known(self, numbers: Sequence[int]) -> None:
        assert self.find(numbers) == [self.model.get(identity(one).name) for one in numbers]

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=30))
    def some_are_looked_for(self, numbers: list[int]) -> None:
        self.everyone_is_known(numbers)

    @rule()
    def the_process_starts_again(self) -> None:
        # Without the background thread nothing in memory is written at the end: that is a crash.
        self.identities.close()
        self.open()

    @rule(torn=st.binary(max_size=100), named=st.sampled_from(["ledger", ".tmp-x", "7-8.run"]))
    def a_crash_leaves_what_was_never_counted(self, torn: bytes, named: str) -> None:
        self.identities.close()
        with (self.folder / named).open("ab") as file:
            file.write(torn)
        self.open()

    @rule(
        damage=st.sampled_from(["flip", "cut", "remove"]),
        which=st.integers(0, 1000),
        where=st.integers(0, 1_000_000),
        bit=st.integers(0, 7),
    )
    def the_disk_damages_a_file(self, damage: str, which: int, where: int, bit: int) -> None:
        self.identities.close()
        files = sorted(self.folder.iterdir())
        path = files[which % len(files)]  # how many there are is the background thread's affair
        content = bytearray(path.read_bytes())
        at = where % max(1, len(content))
        if damage == "remove":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(content[:at])
        elif content:
            content[at] ^= 1 << bit
            path.write_bytes(content)
        self.open()
        with contextlib.suppress(IdentitiesDamaged):  # its process ends, the next one rebuilds
            self.everyone_is_known(range(400))
        self.identities.close()
        self.failures.clear()  # a merge may have come upon it as well
        self.open()
        self.everyone_is_known(range(400))

    @invariant()
    def nothing_failed(self) -> None:
        assert self.failures == []

    def teardown(self) -> None:
        self.identities.close()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(120)
def test_identities_do_what_their_model_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_PART", 32)  # a merge has several steps
    run_state_machine_as_test(
        IdentitiesMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
