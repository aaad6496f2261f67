"""A control plane in this process, and ingest as a process of its own, over one data directory."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.adapters.raw_log import RawLogReader
from burnish.client.api import ApiClient
from burnish.feedback.model import RawRecord
from support.plane import Plane

DEADLINE_S = 60


class Estate(Plane):
    """Both; ingest runs as `burnish ingest` does, and may be stopped and started again."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.variables = {
            "BURNISH_INGEST__PORT": str(port),
            "BURNISH_INGEST__SEAL_SECONDS": "3600",
        }
        super().__init__(data, self.variables)
        self.ingest = ApiClient(f"http://127.0.0.1:{port}", self.house.secrets.admin_token)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.house.settings.data / "ingest.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "burnish", "ingest", "--data", str(self.house.settings.data)],
            env={**os.environ, **self.variables},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.until(lambda: self.ingest.get("/readyz").status == 200)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
            self.process = None

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                if found := condition():
                    return found
            except ConnectionError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def raw_log(self) -> list[RawRecord]:
        """Return all that is persisted."""
        log = RawLogReader(self.house.objects, self.house.engine)
        return [one for shard, end in log.end().items() for one in log.read(shard, 0, end)]
