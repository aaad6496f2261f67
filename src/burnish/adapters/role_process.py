"""One role as a child process: started, asked whether it is ready, stopped, its log kept small."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from burnish.adapters.process import bound

LOG_BYTES: Final = 64 * 1024**2  # per role, and as much again in the file before
_TAIL_BYTES: Final = 2_000
_PROBE_SECONDS: Final = 2.0
# Probes go to our own machine: a proxy of the environment has no part in them.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Role(Struct, frozen=True, kw_only=True):
    """One role to supervise."""

    name: str
    command: list[str]
    ready_url: str  # answers 200 once the role does its work
    says: str  # what it offers, for people: "predictions   http://127.0.0.1:8402"
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of ours


def role_of_ours(
    name: str,
    *,
    data_dir: Path,
    host: str,
    port: int,
    url: str,
    says: str,
    environment: Mapping[str, str],
) -> Role:
    """Return one of our own roles, run by this interpreter.

    `url` is where this machine reaches it, `environment` the settings as variables.
    """
    where = ["--data", str(data_dir), "--host", host, "--port", str(port)]
    return Role(
        name=name,
        command=[sys.executable, "-m", "burnish", name, *where],
        ready_url=f"{url}/readyz",
        says=f"{says:<14} {url}",
        environment=environment,
    )


class RoleProcess:
    """A role and the process that plays it now; after a death another one may."""

    def __init__(self, role: Role, log: Path) -> None:
        """Take the role and the file that its lines are appended to. Starts nothing yet."""
        self.role = role
        self.log = log
        self.started_at = 0.0  # monotonic seconds
        self.ready_at: float | None = None  # when this process was first seen ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id, None before the first start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start a process. It dies with ours, and only we forward the terminal's Ctrl-C to it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                bound(self.role.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.role.environment},
                process_group=0,
            )
        self.started_at, self.ready_at = time.monotonic(), None

    def ended(self) -> int | None:
        """Return the exit status, negative for a signal, None while it runs."""
        return self._process.poll() if self._process else None

    def ready(self) -> bool:
        """Ask the role whether it does its work."""
        try:
            with _DIRECT.open(self.role.ready_url, timeout=_PROBE_SECONDS) as answer:
                ready = bool(answer.status == http.client.OK)
        except (OSError, http.client.HTTPException):
            return False
        if ready and self.ready_at is None:
            self.ready_at = time.monotonic()
        return ready

    def not_ready_because(self) -> str:
        """Return what /readyz says now, in short."""
        try:
            _DIRECT.open(self.role.ready_url, timeout=_PROBE_SECONDS).close()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.read(_TAIL_BYTES).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return f"{self.role.ready_url} does not answer ({error})"
        return "it was ready a moment too late"

    def stop(self, seconds: float) -> bool:
        """Ask it to drain; kill it if it has not ended after so long. True if it drained."""
        if self._process is None or self.ended() is not None:
            return True
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def tail(self) -> str:
        """Return the last lines of the log, for a person who asks why."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def trim_log(self, limit: int = LOG_BYTES) -> None:
        """Move a log that has grown beyond its limit aside, over the one moved before.

        The role keeps its file open for appending, so its content is copied, then cut: a line
        written in between may be lost, the role never waits.
        """
        if self.log.exists() and self.log.stat().st_size > limit:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
