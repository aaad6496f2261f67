"""Starts roles quickly: as forks of one process that has imported all that they import.

A fork forgets Burnish itself and imports it anew as the program that it is, so it reads its own
environment; only the libraries are there already. That is a tenth of a start, and a test that kills
a role a hundred times is worth it.

Run as a program it is the nursery: for each line that it reads, `start` or `look`, it answers one.
"""

import http.client
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from burnish.adapters.process import bound, die_with_parent

ROLES: Final = ("worker", "ingest", "control", "serve")
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TAIL_BYTES: Final = 2_000


class Nursery:
    """The process that is forked; safe in any thread."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            bound([sys.executable, __file__]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        )
        self._lock = threading.Lock()

    def ask(self, **question: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(json.dumps(question), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it, and with it whatever it has started."""
        with self._process:
            self._process.kill()


class Nursling:
    """One role, and the process that plays it now."""

    def __init__(self, nursery: Nursery, arguments: list[str], url: str, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._nursery, self._arguments, self._url, self._log = nursery, arguments, url, log
        self._pid = 0
        self._status: int | None = None
        self.starts = 0

    def start(self, environment: Mapping[str, str]) -> None:
        self._pid = self._nursery.ask(
            do="start",
            arguments=self._arguments,
            environment=dict(environment),
            log=str(self._log),
        )
        self._status = None
        self.starts += 1

    def ended(self) -> int | None:
        """Return the exit status, negative for a signal, None while it runs."""
        if self._status is None:
            self._status = self._nursery.ask(do="look", pid=self._pid)
        return self._status

    def ready(self) -> bool:
        try:
            with _DIRECT.open(f"{self._url}/readyz", timeout=2.0) as answer:
                return bool(answer.status == http.client.OK)
        except (OSError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        if self._pid and self.ended() is None:
            os.kill(self._pid, signal.SIGKILL)
            while self.ended() is None:
                time.sleep(0.005)

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL_BYTES:]


def _main() -> None:
    for role in ROLES:
        __import__(f"burnish.bootstrap.{role}")
    for line in sys.stdin:
        question = json.loads(line)
        answer = _look(question["pid"]) if question["do"] == "look" else _start(question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _look(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _start(question: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(parent, question)
    return pid


def _become(parent: int, question: dict[str, Any]) -> NoReturn:
    """Be the program `burnish`, in a process that looks as if it had been started so."""
    if not die_with_parent(parent):
        os._exit(1)
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(question["environment"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "burnish"]:
        del sys.modules[name]
    sys.argv = ["burnish", *question["arguments"]]
    code: object = 1
    try:
        runpy.run_module("burnish", run_name="__main__", alter_sys=True)
    except SystemExit as done:
        code = done.code
    except BaseException:  # noqa: BLE001  as the interpreter would: tell, and end
        sys.excepthook(*sys.exc_info())
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    _main()
