"""The platform under the story: `burnish up` as its user would start it, in a directory of its own.

Quick settings only shorten waits (records are sealed after a second, not a minute); nothing that
the loop promises is switched off.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final, Self

from burnish import config
from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.client.http import Retry
from burnish.demo.album import DemoError
from burnish.demo.footprints import read_footprints
from burnish.demo.processes import kill_role
from burnish.demo.proof import Footprints

ROLES: Final = ("control", "ingest", "worker", "serve")
QUICK: Final = {"ingest.seal_seconds": "1", "worker.poll_seconds": "0.2"}
READY_S: Final = 90.0
DRAIN_S: Final = 40.0  # twice what a role may take, then the platform is killed
TAIL_LINES: Final = 15
PATIENCE: Final = Retry(deadline=120.0, longest_pause=1.0)  # with a role that is being restarted


class Platform:
    """A running platform; a context manager that stops it whatever happens."""

    def __init__(self, data: Path, database: str | None = None) -> None:
        """Choose free ports for a platform in `data`; nothing starts yet.

        `database` is the URL of an empty database; without it there is one in `data`.
        """
        flags = QUICK | {f"{role}.port": str(port) for role, port in _free_ports().items()}
        if database is not None:
            flags["database.url"] = database
        # An empty environment: variables meant for a real installation must not lead us there.
        self.settings = config.load(data, flags, environ={})
        self.data = data
        self.token = ""
        self._log = data / "logs" / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start; returns at once, see `wait_ready`."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        python = [sys.executable, "-m"]
        bound = [*python, "burnish.adapters.process", str(os.getpid())]
        self._log.touch(mode=0o600)  # `up` prints the administrator's token, once
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the demo only, which then stops us in order.
            self._process = subprocess.Popen(  # noqa: S603
                [*bound, *python, "burnish", "up", "--data", str(self.data)],
                # By the environment: everybody may read the command lines of this machine.
                env=config.process_environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, if it has not been."""
        self.stop()

    def stop(self) -> None:
        """Stop: SIGTERM drains; what has not ended long after it is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            process.kill()  # its roles die with it
            process.wait()

    def wait_ready(self, model: str) -> None:
        """Return once the platform takes feedback for the model. Raises DemoError with its logs."""
        deadline = time.monotonic() + READY_S
        urls = (self.settings.control.url, self.settings.ingest.url)
        for url in urls:
            self._wait(ApiClient(url), "/readyz", deadline, "The platform was not ready")
        self.token = (self.data / "admin.token").read_text().strip()
        control = ApiClient(self.settings.control.url, self.token)
        self._wait(control, f"/v1/models/{model}", deadline, "It imported no policy")

    def check(self) -> None:
        """Raise DemoError if the platform has ended on its own."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoError(f"The platform ended with exit code {self._process.returncode}.")

    def kill(self, role: str) -> int | None:
        """Kill a role by SIGKILL and return its pid; None if none plays it at this moment."""
        return kill_role(self._process.pid, role) if self._process else None

    def control(self) -> ApiClient:
        """Return a new connection to the control plane."""
        return ApiClient(self.settings.control.url, self.token, retry=PATIENCE)

    def ingest(self) -> ApiClient:
        """Return a new connection to the feedback front."""
        return ApiClient(self.settings.ingest.url, self.token, retry=PATIENCE)

    @property
    def serve_url(self) -> str:
        """Where predictions are asked for."""
        return self.settings.serve.url

    def footprints(self) -> Footprints:
        """Read what it left behind; it must have stopped."""
        database = self.settings.database.url
        return read_footprints(self.data / "objects", self._log.parent / "worker.log", database)

    def tails(self) -> str:
        """Return the last lines of every log: the platform's, the roles' and the last job's."""
        jobs = sorted(self.data.glob("jobs/*/*/log"), key=lambda path: path.stat().st_mtime)
        logs = [*sorted(self._log.parent.glob("*.log")), *jobs[-1:]]
        return "\n".join(_tail(path, self.data) for path in logs)

    def _wait(self, client: ApiClient, path: str, deadline: float, failure: str) -> None:
        with closing(client):
            while time.monotonic() < deadline:
                with suppress(ApiProblem, Unreachable):
                    client.get(path)
                    return
                self.check()
                time.sleep(0.1)
        raise DemoError(f"{failure} within {READY_S:.0f} s ({path}).")


def _free_ports() -> dict[str, int]:
    """Return a free loopback port for every role, all different."""
    with ExitStack() as stack:
        ports = {}
        for role in ROLES:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[role] = int(probe.getsockname()[1])
        return ports


def _tail(path: Path, root: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"--- {path.relative_to(root)}", *lines])
