"""syslog-ng as a foreign client: what it sends through refusals and lost answers counts once.

Its records' ids come from the messages themselves, as an id made in the template would be another
one at each attempt.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from support.estate import Estate
from support.flaky_proxy import Fault, FlakyProxy

DEADLINE_S = 90
BINARY = shutil.which("syslog-ng", path="/usr/sbin:/usr/bin")
HTTP_MODULE = [*Path("/usr/lib/syslog-ng").rglob("libhttp.so")]
pytestmark = pytest.mark.skipif(
    BINARY is None or not HTTP_MODULE,
    reason="syslog-ng is missing: apt-get install syslog-ng-core syslog-ng-mod-http",
)
MESSAGES = 200
ALL = [Fault.BUSY, Fault.LOST, Fault.NONE, Fault.UNAVAILABLE, Fault.DROPPED, Fault.NONE, Fault.TORN]

CONFIGURATION = """\
@version: 3.38
options {{ stats-freq(0); keep-hostname(yes); time-reopen(1); }};
source corrections {{ file("{folder}/corrections.log" flags(no-parse) follow-freq(0.1)); }};
parser fields {{ json-parser(prefix(".app.")); }};
destination burnish {{
  http(
    url("{url}/v1/feedback/batch")
    method("POST")
    headers("Content-Type: application/x-ndjson", "Authorization: Bearer {token}")
    body('$(format-json --scope none source=laundry-app id=${{.app.event}} model=laundry
          subject_id=${{.app.task}} predicted=${{.app.said}} final=${{.app.is}}
          corrected=boolean(true) actor=${{.app.by}} occurred_at=${{.app.at}}
          payload=${{.app.photo}} reason=${{.app.note}})')
    delimiter("\\n")
    batch-lines({lines}) batch-timeout(200) workers(2) timeout(20)
    response-action(
      400 => disconnect, 401 => disconnect, 403 => disconnect, 408 => disconnect,
      429 => disconnect, 500 => disconnect, 502 => disconnect, 503 => disconnect
    )
  );
}};
log {{ source(corrections); parser(fields); destination(burnish); flags(flow-control); }};
"""


class SyslogNg:
    """One private instance: own configuration, persist file, control socket and pid file."""

    def __init__(self, folder: Path, url: str, token: str, *, lines: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.log = folder / "corrections.log"
        self.log.touch()
        text = CONFIGURATION.format(folder=folder, url=url, token=token, lines=lines)
        (folder / "syslog-ng.conf").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert BINARY is not None
        output = (self.folder / "output").open("ab")
        self.process = subprocess.Popen(
            [
                BINARY,
                "--foreground",
                "--no-caps",
                f"--cfgfile={self.folder}/syslog-ng.conf",
                f"--persist-file={self.folder}/persist",
                f"--control={self.folder}/control",
                f"--pidfile={self.folder}/pid",
            ],
            stdout=output,
            stderr=output,
        )
        output.close()

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None

    def say(self, first: int, count: int) -> None:
        with self.log.open("a") as file:
            for number in range(first, first + count):
                message = {
                    "event": f"e-{number}",
                    "task": f"task-{number}",
                    "said": "good",
                    "is": "defect",
                    "by": "kim",
                    "at": "2026-05-01T10:00:00Z",
                    "photo": "burnish:sha256:" + "ab" * 32,
                    "note": 'seam "torn"\tä',
                }
                file.write(json.dumps(message) + "\n")


@pytest.fixture(scope="module", name="estate")
def _estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    estate = Estate(tmp_path_factory.mktemp("estate"))
    with estate.client:
        estate.apply()
        estate.start()
        yield estate
        estate.stop()
    estate.ingest.close()
    estate.house.close()


@pytest.fixture(name="proxy")
def _proxy(estate: Estate) -> Iterator[FlakyProxy]:
    proxy = FlakyProxy(estate.ingest.url)
    yield proxy
    proxy.close()


@pytest.fixture(name="made")
def _made(estate: Estate, proxy: FlakyProxy, tmp_path: Path) -> Iterator[Callable[..., SyslogNg]]:
    instances: list[SyslogNg] = []

    def make(**options: Any) -> SyslogNg:
        token = estate.house.secrets.admin_token
        made = SyslogNg(tmp_path / "syslog-ng", proxy.url, token, **options)
        instances.append(made)
        made.start()
        return made

    yield make
    for one in instances:
        one.stop()


def arrived(estate: Estate) -> list[str]:
    estate.ingest.post("/v1/seal")
    return [one.id for one in estate.raw_log()]


def wait_for(estate: Estate, syslog: SyslogNg, last: int) -> list[str]:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = arrived(estate)
        if f"e-{last}" in found and len(found) > last:
            return found
        assert time.monotonic() < deadline, (syslog.folder / "output").read_text()[-2000:]
        time.sleep(0.2)


def test_every_message_arrives_once_through_429_503_and_lost_answers(
    estate: Estate, proxy: FlakyProxy, made: Callable[..., SyslogNg]
) -> None:
    proxy.retry_after = "1"
    faults = cycle(ALL)
    proxy.plan = lambda: next(faults)
    syslog = made(lines=20)
    syslog.say(0, MESSAGES // 2)
    wait_for(estate, syslog, MESSAGES // 2 - 1)
    syslog.say(MESSAGES // 2, MESSAGES // 2)
    found = wait_for(estate, syslog, MESSAGES - 1)
    assert sorted(found) == sorted(f"e-{number}" for number in range(MESSAGES))
    assert all(proxy.done[fault] > 0 for fault in ALL)
    sent = sum(body.count(b"\n") + 1 for path, body in proxy.asked if path.endswith("/batch"))
    assert sent > MESSAGES  # some were sent again, or the test proves nothing
    said = json.loads(next(one.body for one in estate.raw_log()))
    assert said["reason"] == 'seam "torn"\tä'

    # and through its own kill -9: it reads on from what was acknowledged
    syslog.say(MESSAGES, 50)
    syslog.stop(signal.SIGKILL)
    syslog.say(MESSAGES + 50, 50)
    syslog.start()
    found = wait_for(estate, syslog, MESSAGES + 99)
    assert sorted(found) == sorted(f"e-{number}" for number in range(MESSAGES + 100))
