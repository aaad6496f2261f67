"""The feedback front as a process of its own, and a record that it takes."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.directory import PublishedDirectory
from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.system import utc_now
from burnish.feedback.model import RawRecord

SECRET = b"s" * 32
BEARER = "a-token"
DEADLINE_S = 30
ROLE = Path(__file__).with_name("ingest_role.py")


class Front:
    """An ingest process over a data folder; may be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, labels: tuple[str, ...] = ("good", "defect"), role: str = "admin") -> None:
        sha256 = hashlib.sha256(BEARER.encode()).hexdigest()
        PublishedDirectory(self.data / "published" / "directory.json", SECRET).publish(
            {
                "models": {"laundry": {"labels": list(labels), "kind": "image-classification"}},
                "keys": [{"sha256": sha256, "name": "test", "role": role}],
            }
        )

    def start(self, *, crash_at: str = "", **options: Any) -> None:
        """Start it with some of `ingest_role.Options` and wait until it answers."""
        log = (self.data / "log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(ROLE),
                str(self.data),
                str(self.port),
                json.dumps(options),
            ],
            env={**os.environ, "BURNISH_CRASH_AT": crash_at},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.until(lambda: self.get("/healthz")[0] == 200)

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except OSError:
                pass
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError((self.data / "log").read_text()[-4000:])

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        assert self.process is not None
        code = self.process.wait(DEADLINE_S)
        self.process = None
        return code

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=DEADLINE_S) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def post(
        self,
        path: str,
        body: bytes | dict[str, Any],
        *,
        bearer: str | None = BEARER,
        **headers: str,
    ) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer is not None:
            named["Authorization"] = f"Bearer {bearer}"
        named.setdefault("content-type", "application/json")
        request = urllib.request.Request(self.url + path, data, named, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    @staticmethod
    def encode(document: object) -> bytes:
        return json.dumps(document).encode()

    def raw_log(self) -> list[RawRecord]:
        engine = make_engine(f"sqlite:///{self.data / 'burnish.db'}")
        try:
            log = RawLogReader(self.objects(), engine)
            return [
                record for shard, end in log.end().items() for record in log.read(shard, 0, end)
            ]
        finally:
            engine.dispose()

    def objects(self) -> LocalObjects:
        return LocalObjects(
            self.data / "objects", base_url="http://127.0.0.1:1", secret=SECRET, clock=utc_now
        )

    def quarantine(self) -> list[dict[str, Any]]:
        """Every line, wherever on its way to the object store it is."""
        objects = self.objects()
        local = list((self.data / "spool" / "0" / "quarantine").rglob("*.ndjson"))
        files: list[bytes] = []
        for path in local:
            with suppress(FileNotFoundError):  # uploaded meanwhile: it is read below
                files.append(path.read_bytes())
        files += [objects.get(key) for key in objects.list("quarantine/")]
        # A file that has just been uploaded is still in the folder; its lines name their moment.
        lines = dict.fromkeys(line for file in files for line in file.splitlines())
        return [json.loads(line) for line in lines]


def record(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {
        "source": "app",
        "id": f"r-{number}",
        "model": "laundry",
        "subject_id": f"task-{number}",
        "predicted": "good",
        "final": "defect",
        "corrected": True,
        "actor": "kim",
        "occurred_at": "2026-05-01T10:00:00+09:00",
        "payload": "burnish:sha256:" + "ab" * 32,
    } | changes
    return {name: value for name, value in plain.items() if value is not ...}


@pytest.fixture(name="stopped")
def _stopped(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    front.publish()
    yield front
    if front.process is not None:
        front.process.kill()
        front.ended()


@pytest.fixture(name="front")
def _front(stopped: Front) -> Front:
    stopped.start()
    return stopped


@pytest.fixture(name="lasting", scope="module")
def _lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A running front that all tests of a module share: each speaks of a source of its own."""
    front = Front(tmp_path_factory.mktemp("front"))
    front.publish()
    front.start()
    yield front
    if front.process is not None:
        front.process.kill()
        front.ended()


@pytest.fixture(name="record")
def _record() -> Any:
    return record
