"""`burnish up`: the roles as child processes, kept alive, and drained in order at the end."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

from msgspec import Struct

from burnish.adapters.lock import only_one
from burnish.adapters.role_process import Role, RoleProcess

EXIT_OK: Final = 0  # asked to stop, and every role drained
EXIT_FAILED: Final = 1  # a role did not become ready, or had to be killed at the end

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Pace(Struct, frozen=True, kw_only=True):
    """How patient the supervisor is, in seconds."""

    ready: float = 60.0  # for a role to become ready at the first start
    drain: float = 20.0  # for a role to end once asked
    first_backoff: float = 0.5  # before a role that died starts again; doubled each time
    longest_backoff: float = 30.0
    calm: float = 10.0  # a role that did its work for so long has its back-off forgotten
    tick: float = 0.1  # between two looks at the roles


def supervise(
    roles: Sequence[Role],
    data_dir: Path,
    *,
    say: Callable[[str], None],
    pace: Pace | None = None,
) -> int:
    """Start the roles, keep them running until a signal asks to stop, drain them in order.

    Must run in the main thread, which alone receives signals. Raises AlreadyUp if the data
    directory has a supervisor. Returns EXIT_OK or EXIT_FAILED.
    """
    with only_one(data_dir), _stop_signals() as stop:
        supervisor = _Supervisor(roles, data_dir / "logs", say, pace or Pace(), stop)
        try:
            ready = supervisor.start()
            if ready:
                supervisor.watch()
        finally:
            drained = supervisor.drain()
    return EXIT_OK if ready and drained else EXIT_FAILED


class _Supervisor:
    def __init__(
        self,
        roles: Sequence[Role],
        logs: Path,
        say: Callable[[str], None],
        pace: Pace,
        stop: Event,
    ) -> None:
        self._processes = [RoleProcess(role, logs / f"{role.name}.log") for role in roles]
        self._say = say
        self._pace = pace
        self._stop = stop
        self._deaths = {role.name: 0 for role in roles}  # in a row
        self._restart_at: dict[str, float] = {}

    def start(self) -> bool:
        """Start all roles at once; tell whether all became ready. True too if asked to stop."""
        for process in self._processes:
            process.trim_log(0)  # one log per `up`, the one before kept aside
            process.start()
        deadline = time.monotonic() + self._pace.ready
        waiting = list(self._processes)
        while waiting and not self._stop.wait(self._pace.tick):
            for process in tuple(waiting):
                status = process.ended()
                if status is not None:
                    self._explain(process, f"ended ({_ending(status)}) before it was ready")
                    return False
                if process.ready():
                    waiting.remove(process)
                    self._say(f"✓ {process.role.name:<8} {process.role.says}")
            if waiting and time.monotonic() > deadline:
                for process in waiting:
                    because = process.not_ready_because()
                    self._explain(process, f"is not ready after {self._pace.ready:g} s: {because}")
                return False
        return True

    def watch(self) -> None:
        """Start again whatever dies, until asked to stop."""
        while not self._stop.wait(self._pace.tick):
            for process in self._processes:
                process.trim_log()
                if process.ended() is not None:
                    self._revive(process)
                elif process.ready_at is None and process.ready():
                    took = time.monotonic() - process.started_at
                    self._say(f"✓ {process.role.name:<8} ready again after {took:.1f} s")

    def drain(self) -> bool:
        """Stop the roles one after another, in their order; tell whether none had to be killed."""
        drained = True
        for process in self._processes:
            if process.ended() is None and process.pid is not None:
                self._say(f"  {process.role.name:<8} draining")
            if not process.stop(self._pace.drain):
                self._say(
                    f"✗ {process.role.name:<8} did not drain in {self._pace.drain:g} s: killed"
                )
                drained = False
        return drained

    def _revive(self, process: RoleProcess) -> None:
        now, name = time.monotonic(), process.role.name
        if name in self._restart_at:
            if now >= self._restart_at[name]:
                del self._restart_at[name]
                process.start()
                self._say(f"↻ {name:<8} started again")
            return
        # A back-off keeps what cannot work from wearing the machine out. What has worked can.
        if process.ready_at is not None and now - process.ready_at >= self._pace.calm:
            self._deaths[name] = 0
        wait = min(self._pace.first_backoff * 2 ** self._deaths[name], self._pace.longest_backoff)
        self._deaths[name] += 1
        self._restart_at[name] = now + wait
        ending = _ending(process.ended() or 0)
        self._say(f"✗ {name:<8} died ({ending}); starts again in {wait:g} s. Log: {process.log}")

    def _explain(self, process: RoleProcess, what: str) -> None:
        self._say(f"✗ {process.role.name:<8} {what}. The end of {process.log}:\n{process.tail()}")


@contextmanager
def _stop_signals() -> Iterator[Event]:
    """Turn the signals that ask to stop into an event; a second one changes nothing."""
    stop = Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in _STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(status: int) -> str:
    """Say how a process ended.

    >>> _ending(-9)
    'SIGKILL'
    """
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
