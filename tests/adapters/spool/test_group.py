"""Group commit: one commit at a time, in order, and none after a failed one."""

import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from burnish.adapters.spool.group import Closed, GroupCommit
from burnish.kernel.errors import BurnishError

DEADLINE_S: Final = 20
SLOW_S: Final = 0.01


class Order:
    """A job that notes what became of it."""

    size = 1

    def __init__(self, sender: int = 0, number: int = 0) -> None:
        self.sender, self.number = sender, number
        self.told = threading.Event()
        self.error: BurnishError | None = None

    def fail(self, error: BurnishError) -> None:
        self.error = error
        self.told.set()

    def succeeded(self) -> bool:
        assert self.told.wait(DEADLINE_S)
        return self.error is None


class Desk:
    """Commits, one group after another, taking as long as it is told to."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.breaks = False
        self.groups: list[list[Order]] = []
        self.threads: list[int] = []  # who committed each
        self.failures: list[BaseException] = []
        self.entered = threading.Event()
        self._busy = threading.Lock()

    def commit(self, group: list[Order]) -> None:
        assert self._busy.acquire(blocking=False), "two commits at once"
        self.entered.set()
        try:
            if self.takes_s:
                time.sleep(self.takes_s)
            if self.breaks:
                raise OSError("the disk is gone")
            self.groups.append(group)
            self.threads.append(threading.get_ident())
            for order in group:
                order.told.set()
        finally:
            self._busy.release()


@pytest.fixture(name="desk")
def _desk() -> Desk:
    return Desk()


@pytest.fixture(name="commits")
def _commits(desk: Desk) -> Iterator[GroupCommit[Order]]:
    commits = GroupCommit[Order]("committer", desk.commit, failed=desk.failures.append)
    yield commits
    commits.close()


def test_what_comes_while_one_is_committed_is_the_next_group(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    desk.takes_s = SLOW_S
    orders = [Order(number=number) for number in range(20)]
    for one in orders:
        commits.submit(one)
    assert all(one.succeeded() for one in orders)
    assert len(desk.groups) <= 3
    assert [one for group in desk.groups for one in group] == orders


def test_of_many_senders_each_is_told_once_and_served_in_its_order(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    sent: list[list[Order]] = [[], [], [], []]

    def send(sender: int) -> None:
        for number in range(300):
            desk.takes_s = 0.001 if number % 50 == 0 else 0.0
            one = Order(sender, number)
            sent[sender].append(one)
            commits.submit(one)
            if number % 3 == 0:
                one.told.wait(DEADLINE_S)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert all(one.succeeded() for orders in sent for one in orders)
    done = [one for group in desk.groups for one in group]
    for sender, orders in enumerate(sent):
        assert [one for one in done if one.sender == sender] == orders


def test_after_a_failed_commit_nothing_is_committed(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    desk.takes_s = SLOW_S
    desk.breaks = True
    before = len(desk.groups)
    orders = [Order() for _ in range(5)]
    for one in orders:
        try:
            commits.submit(one)
        except Closed as error:
            one.fail(error)
    assert not any(one.succeeded() for one in orders)
    commits.close()
    assert commits.closed is not None
    assert "the disk is gone" in commits.closed
    with pytest.raises(Closed):
        commits.submit(Order())
    assert len(desk.groups) == before
    assert len(desk.failures) == 1


def test_a_job_may_be_committed_by_who_brings_it(desk: Desk, commits: GroupCommit[Order]) -> None:
    order = Order()
    commits.submit(order, here=True)
    assert order.told.is_set()
    assert desk.threads == [threading.get_ident()]


def test_who_finds_another_commit_under_way_does_not_wait_for_it(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    desk.takes_s = 20 * SLOW_S
    first, second = Order(number=1), Order(number=2)
    commits.submit(first)
    assert desk.entered.wait(DEADLINE_S)
    started = time.monotonic()
    commits.submit(second, here=True)
    assert time.monotonic() - started < desk.takes_s / 2
    assert first.succeeded()
    assert second.succeeded()
    assert desk.groups == [[first], [second]]
    assert threading.get_ident() not in desk.threads


def test_who_has_waited_for_a_slow_disk_brings_the_next_jobs_to_the_queue_for_a_while(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    desk.takes_s = SLOW_S
    commits.submit(Order(), here=True)
    desk.takes_s = 0.0
    slow = time.monotonic()
    orders = [Order() for _ in range(10)]
    for order in orders:
        commits.submit(order, here=True)
        assert order.succeeded()
    quick = time.monotonic() - slow < SLOW_S
    assert not quick or threading.get_ident() not in desk.threads[1:]
    deadline = time.monotonic() + DEADLINE_S
    while desk.threads[-1] != threading.get_ident():
        assert time.monotonic() < deadline
        again = Order()
        commits.submit(again, here=True)
        assert again.succeeded()
    assert time.monotonic() - slow > 5 * SLOW_S


def test_a_commit_that_fails_where_it_was_brought_is_the_end_too(
    desk: Desk, commits: GroupCommit[Order]
) -> None:
    desk.takes_s, desk.breaks = 20 * SLOW_S, True
    broken, late = Order(), Order()
    bringer = threading.Thread(target=commits.submit, args=(broken,), kwargs={"here": True})
    bringer.start()
    assert desk.entered.wait(DEADLINE_S)
    commits.submit(late, here=True)
    bringer.join(DEADLINE_S)
    assert not broken.succeeded()
    assert not late.succeeded()
    assert len(desk.failures) == 1
    assert desk.groups == []
    with pytest.raises(Closed, match="stopped for good"):
        commits.submit(Order(), here=True)
