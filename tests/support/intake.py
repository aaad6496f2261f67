"""A real ingest process that may be killed and started again in no time, and load for it."""

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from burnish.adapters.directory import PublishedDirectory
from burnish.kernel.policy import Kind
from burnish.scaffold import policy_text
from support.raw_reader import fingerprint
from support.s3 import free_ports

SECRET: Final = b"s" * 32
BEARER: Final = "a-token"
DEADLINE_S: Final = 60
ROLE: Final = Path(__file__).with_name("ingest_role.py")


class Zygote:
    """Starts ingest processes by forking."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.ingest_zygote"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(self, data: Path, port: int, options: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"data": str(data), "port": port, "options": options}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


class Intake:
    """An ingest process over a data folder.

    `through` is put before the command line of a process that is to be started by exec, not by
    fork, because something is to be preloaded or traced.
    """

    def __init__(self, zygote: Zygote | None, data: Path, **options: Any) -> None:
        self._zygote, self.data, self.options = zygote, data, options
        self.port = free_ports(1)[0]
        self.pid = 0
        self.bearer = BEARER
        self._child: subprocess.Popen[bytes] | None = None
        self._prepare()

    def _prepare(self) -> None:
        sha256 = hashlib.sha256(BEARER.encode()).hexdigest()
        PublishedDirectory(self.data / "published" / "directory.json", SECRET).publish(
            {
                "models": {
                    "laundry": {"labels": ["good", "defect"], "kind": "image-classification"}
                },
                "keys": [{"sha256": sha256, "name": "test", "role": "admin"}],
            }
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}", "content-type": "application/json"}

    def start(
        self, *, through: list[str] | None = None, environ: dict[str, str] | None = None
    ) -> None:
        """Start it and wait until it answers."""
        self._child = None
        if through is None and environ is None:
            assert self._zygote is not None
            self.pid = self._zygote.fork(self.data, self.port, self.options)
        else:
            arguments = [str(self.data), str(self.port), json.dumps(self.options)]
            with (self.data / "log").open("ab") as log:
                self._child = subprocess.Popen(
                    [*(through or []), sys.executable, str(ROLE), *arguments],
                    env={**os.environ, **(environ or {})},
                    stdout=log,
                    stderr=log,
                )
            self.pid = self._child.pid
        until(lambda: self.answers() or not self.lives(), self.log)
        assert self.lives(), self.log()

    def answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.call("GET", "/healthz")[0] == 200
        return False

    def lives(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return bool(self.pid)
        return False

    def kill(self) -> None:
        """End it as a power cut would."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait until it is gone."""
        if self.pid and self.lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            until(lambda: not self.lives(), self.log)
        self.pid, self._child = 0, None

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, self.headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
                text = response.read()
                return response.status, json.loads(text) if path != "/metrics" else text.decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def send(self, number: int, **changes: Any) -> tuple[int, Any]:
        return self.call("POST", "/v1/feedback", encode(f"r-{number}", **changes))

    def seal(self) -> int:
        """Have everything accepted so far persisted; return up to which offset it is."""
        sealed: list[int] = []

        def persisted() -> bool:
            status, answer = self.call("POST", "/v1/seal", b"")
            if status == 200:
                sealed.append(answer["persisted_offset"])
            return bool(sealed)

        until(persisted, self.log)
        return sealed[0]

    def metric(self, name: str) -> float:
        """Return a metric by its whole name, labels included; 0 if it was never counted."""
        lines = self.call("GET", "/metrics")[1].splitlines()
        found = [line.split()[-1] for line in lines if line.startswith(f"{name} ")]
        return float(found[0]) if found else 0.0

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def log(self) -> str:
        path = self.data / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""


class Role(Intake):
    """The same, as its user would start it: `burnish ingest` with settings."""

    def __init__(self, data: Path, settings: dict[str, str]) -> None:
        self._settings = settings
        super().__init__(None, data)

    def _prepare(self) -> None:
        models = self.data / "models"
        models.mkdir()
        (models / "laundry.toml").write_text(policy_text("laundry", Kind.IMAGE_CLASSIFICATION))

    def start(self, **_: Any) -> None:
        """Start it until it stays, as a supervisor would; it cannot while it lacks a part."""
        settings = {"ingest.port": str(self.port), **self._settings}
        flags = [f"--set={name}={value}" for name, value in settings.items()]
        command = [sys.executable, "-m", "burnish", "ingest", "--data", str(self.data), *flags]
        while True:
            with (self.data / "log").open("ab") as log:
                self._child = subprocess.Popen(command, stdout=log, stderr=log)
            self.pid = self._child.pid
            until(lambda: self.answers() or not self.lives(), self.log)
            if self.lives():
                break
        self.bearer = (self.data / "admin.token").read_text().strip()


class Load:
    """Clients that send and send again until each record is acknowledged.

    What they hold acknowledged is the truth that the raw log is compared with.
    """

    def __init__(self, intake: Intake, *, writers: int = 4, largest: int = 40) -> None:
        self._intake, self._largest = intake, largest
        self.acknowledged: dict[str, bytes] = {}  # fingerprints of bodies by id
        self.refusals = 0
        self._stop, self._abandoned = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,), daemon=True)
            for number in range(writers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Stop sending anew, once all that was sent is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "a record was never acknowledged"

    def give_up(self) -> None:
        """Stop, also with what was sent and is not acknowledged."""
        self._abandoned.set()
        self.finish()

    def _write(self, writer: int) -> None:
        chance = random.Random(writer)
        numbers = itertools.count()
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            count = chance.choice((1, 1, 2, self._largest))
            batch = {}
            for number in itertools.islice(numbers, count):
                name = f"w{writer}-{number}"
                batch[name] = encode(name, reason="x" * chance.randrange(200)).decode()
            while batch and not self._abandoned.is_set():
                try:
                    connection = connection or http.client.HTTPConnection(
                        "127.0.0.1", self._intake.port, timeout=DEADLINE_S
                    )
                    taken = self._send(connection, batch)
                except (OSError, http.client.HTTPException):
                    if connection is not None:
                        connection.close()
                    connection = None
                    taken = set()
                self.acknowledged.update((name, fingerprint(batch.pop(name))) for name in taken)
                if batch:
                    self.refusals += 1
                    time.sleep(0.02)
        if connection is not None:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, batch: dict[str, str]) -> set[str]:
        """Send a batch, or a single record as such; return the ids that were acknowledged."""
        names = list(batch)
        path = "/v1/feedback" if len(names) == 1 else "/v1/feedback/batch"
        body = "\n".join(batch.values()).encode()
        connection.request("POST", path, body, self._intake.headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status not in {200, 202}:
            assert response.status in {429, 503}, answer
            return set()
        if len(names) == 1:
            return {answer["id"]}
        lines = answer["results"]
        assert all(line["status"] in {200, 202} for line in lines), lines
        return {names[line["index"]] for line in lines}


def encode(name: str, **changes: Any) -> bytes:
    """Return the body of a record."""
    return json.dumps(
        {
            "source": "app",
            "id": name,
            "model": "laundry",
            "subject_id": f"task-{name}",
            "predicted": "good",
            "final": "defect",
            "corrected": True,
            "actor": "kim",
            "occurred_at": "2026-05-01T10:00:00+09:00",
            "payload": "burnish:sha256:" + "ab" * 32,
        }
        | changes
    ).encode()


def until(condition: Callable[[], object], why: Callable[[], str] = str) -> None:
    """Wait until something comes true."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, why() or "it never came true"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What ingest processes are forked from."""
    one = Zygote()
    yield one
    one.close()


@pytest.fixture
def make_intake(zygote: Zygote, tmp_path: Path) -> Iterator[Callable[..., Intake]]:
    """Ingest processes that end with the test."""
    made: list[Intake] = []

    def make(data: Path | None = None, **options: Any) -> Intake:
        made.append(Intake(zygote, data or tmp_path, **options))
        return made[-1]

    yield make
    for intake in made:
        intake.kill()
