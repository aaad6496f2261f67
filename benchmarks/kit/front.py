"""The feedback front as a process of its own: with its spool, or with a log that forgets."""

import hashlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from burnish.adapters.directory import PublishedDirectory
from burnish.adapters.objects import LocalObjects
from burnish.adapters.process import share_one_heap
from burnish.adapters.spool.identities import HOT
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.adapters.telemetry import configure_logging
from burnish.bootstrap.ingest import FeedbackFront
from burnish.feedback.model import Incoming, Outcome, Receipt
from burnish.feedback.ports import Receipts
from kit.rounds import cpu_s, rest

BEARER = "a-token"
SECRET = b"s" * 32
SHARD = "0"
START_S = 30.0


class Forgetful:
    """A log in memory: it answers as the spool does, and nothing outlives the process.

    It knows as many of the newest identities as the spool holds in memory, or twice as many; or
    none, if it `knows` nothing, and then takes everything for new.
    """

    shard = SHARD

    def __init__(self, *, knows: bool) -> None:
        self._knows = knows
        self._offsets = itertools.count()
        self._new: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._old: dict[tuple[str, str], tuple[int, bytes]] = {}

    def append(self, records: Sequence[Incoming], done: Callable[[Receipts], None]) -> None:
        if not self._knows:
            done([Receipt(next(self._offsets), Outcome.ACCEPTED) for _ in records])
            return
        receipts = []
        for record in records:
            name = (record.source, record.id)
            known = self._new.get(name) or self._old.get(name)
            outcome = Outcome.ACCEPTED
            if known is None:
                known = self._new[name] = (next(self._offsets), record.body)
            else:
                outcome = Outcome.DUPLICATE if known[1] == record.body else Outcome.CONFLICT
            receipts.append(Receipt(known[0], outcome))
        if len(self._new) >= HOT:
            self._old, self._new = self._new, {}
        done(receipts)

    def failure(self) -> str | None:
        return None


class Front:
    """One such process, from a free port to its end."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "kit.front", str(folder.absolute()), str(self.port), kind]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise
                time.sleep(0.02)
            else:
                return

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has taken so far."""
        return cpu_s(self._process.pid)

    def rest(self) -> None:
        """Wait until it has shipped and merged what it took, and has nothing to do."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/v1/seal", b"", {"Authorization": f"Bearer {BEARER}"})
        connection.getresponse().read()
        connection.close()
        rest(self.cpu_s)

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(folder: Path, port: int, kind: str) -> None:
    """Run the front until SIGTERM."""
    share_one_heap()
    configure_logging("ingest", "warning")
    directory = PublishedDirectory(folder / "published.json", SECRET)
    key = {"sha256": hashlib.sha256(BEARER.encode()).hexdigest(), "name": "b", "role": "admin"}
    model = {"labels": ["good", "defect"], "kind": "image-classification"}
    directory.publish({"models": {"laundry": model}, "keys": [key]})
    engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
    metadata.create_all(engine)
    objects = LocalObjects(folder / "objects", base_url="", secret=SECRET, clock=utc_now)
    front = FeedbackFront(
        folder / "spool",
        SHARD,
        objects=objects,
        engine=engine,
        directory=directory,
        registry=CollectorRegistry(),
        log=None if kind == "durable" else Forgetful(knows=kind == "forgetful"),
    )

    def on_stop() -> None:
        front.close(deadline_s=0.0)
        engine.dispose()

    front.serve("127.0.0.1", port, header_s=5.0, drain_s=5.0, on_stop=on_stop)


if __name__ == "__main__":
    os.environ.pop("BURNISH_CRASH_AT", None)
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
