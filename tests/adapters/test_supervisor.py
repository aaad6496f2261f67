"""`burnish up`: starts, watches, restarts and drains, tried on small stand-ins for the roles."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.lock import AlreadyUp, only_one
from burnish.adapters.role_process import Role, RoleProcess, role_of_ours

DEADLINE_S = 20.0

# A role in small: answers /readyz, notes its start and its end, and drains when asked to.
STAND_IN = textwrap.dedent(
    """
    import http.server, json, os, signal, sys, threading
    name, port, journal, manner = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

    def note(what):
        with open(journal, "a") as file:
            file.write(json.dumps([name, what, os.getpid()]) + "\\n")

    if manner == "moody":  # works once, and never again
        manner = "unready" if os.path.exists(journal) else "good"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"reasons": ["no database"]}' if manner == "unready" else b"{}"
            self.send_response(503 if manner == "unready" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args): pass

    if manner == "broken":
        sys.exit("the spool is on fire")
    if manner == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    note("started")
    server.serve_forever(0.02)
    note("drained")
    """
)

UP = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from burnish.adapters.lock import AlreadyUp
    from burnish.adapters.role_process import Role
    from burnish.adapters.supervisor import Pace, supervise
    plan = json.loads(sys.argv[1])
    try:
        sys.exit(supervise(
            [Role(**role) for role in plan["roles"]],
            Path(plan["data"]),
            say=lambda text: print(text, flush=True),
            pace=Pace(**plan["pace"]),
        ))
    except AlreadyUp as refusal:
        sys.exit(refusal.detail)
    """
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for: {what}")


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class House:
    """A data directory with stand-ins, and the `up` processes started on it."""

    def __init__(self, tmp_path: Path) -> None:
        self.data = tmp_path / "data"
        self.journal = tmp_path / "journal"
        self.script = tmp_path / "stand_in.py"
        self.script.write_text(STAND_IN, encoding="utf-8")
        self.said = tmp_path / "said"
        self.ups: list[subprocess.Popen[bytes]] = []

    def up(self, manners: dict[str, str], **pace: float) -> subprocess.Popen[bytes]:
        roles = []
        for name, manner in manners.items():
            port = free_port()
            command = [sys.executable, str(self.script), name, str(port), str(self.journal), manner]
            url = f"http://127.0.0.1:{port}/readyz"
            roles.append({"name": name, "command": command, "ready_url": url, "says": url})
        pace = {"tick": 0.02, "first_backoff": 0.05, "ready": DEADLINE_S, **pace}
        plan = json.dumps({"roles": roles, "data": str(self.data), "pace": pace})
        with self.said.open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", UP, plan], stdout=said, stderr=subprocess.STDOUT
            )
        self.ups.append(process)
        return process

    def told(self) -> str:
        return self.said.read_text(encoding="utf-8")

    def notes(self, what: str) -> list[tuple[str, int]]:
        if not self.journal.exists():
            return []
        lines = [json.loads(line) for line in self.journal.read_text("utf-8").splitlines()]
        return [(name, pid) for name, noted, pid in lines if noted == what]

    def waits(self, count: int) -> list[str]:
        """Return how long was waited after each death, in seconds, once so many are told."""
        until(lambda: self.told().count("died") == count, f"{count} deaths told")
        told = self.told().splitlines()
        return [line.split("again in ")[1].split(" s")[0] for line in told if "died" in line]

    def wait_ready(self, count: int) -> None:
        until(lambda: self.told().count("✓") == count, f"{count} roles ready")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for process in house.ups:
        if process.poll() is None:
            process.kill()
        process.wait()
    for _, pid in house.notes("started"):
        until(lambda pid=pid: not alive(pid), "the stand-ins to die with their parent")


def kill_the_latest(house: House, *, starts: int) -> None:
    """Kill the role's process once it has been started so many times."""
    until(lambda: len(house.notes("started")) == starts, "the next start")
    os.kill(house.notes("started")[-1][1], signal.SIGKILL)


FOUR = {"worker": "good", "ingest": "good", "control": "good", "serve": "good"}


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_starts_all_tells_where_they_are_and_drains_them_in_order(
    house: House, asked: signal.Signals
) -> None:
    up = house.up(FOUR)
    house.wait_ready(4)
    up.send_signal(asked)
    assert up.wait(DEADLINE_S) == 0
    assert [name for name, _ in house.notes("drained")] == list(FOUR)
    for name in FOUR:
        assert f"✓ {name}" in house.told()


def test_a_second_signal_changes_nothing(house: House) -> None:
    up = house.up(FOUR)
    house.wait_ready(4)
    for _ in range(5):
        up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 0
    assert len(house.notes("drained")) == 4


def test_a_role_that_dies_is_started_again_and_the_others_go_on(house: House) -> None:
    up = house.up({"ingest": "good", "serve": "good"})
    house.wait_ready(2)
    victim = dict(house.notes("started"))["ingest"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(house.notes("started")) == 3, "the role to be started again")
    assert "✗ ingest   died (SIGKILL); starts again in 0.05 s" in house.told()
    until(lambda: "↻ ingest" in house.told(), "it to say so")
    until(lambda: "✓ ingest   ready again after" in house.told(), "it to work again")
    up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 0
    assert [name for name, _ in house.notes("started")].count("serve") == 1


def test_a_role_that_dies_again_and_again_is_waited_for_longer_and_longer(house: House) -> None:
    up = house.up({"ingest": "good"}, longest_backoff=0.2)
    house.wait_ready(1)
    for deaths in range(1, 5):
        kill_the_latest(house, starts=deaths)
    assert house.waits(4) == ["0.05", "0.1", "0.2", "0.2"]
    up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 0


def test_a_role_that_has_worked_for_a_while_is_not_waited_for_any_longer(house: House) -> None:
    up = house.up({"ingest": "good"}, calm=0.1)
    for deaths in range(1, 4):
        house.wait_ready(deaths)
        time.sleep(0.2)  # it works for as long as it takes to be forgiven
        kill_the_latest(house, starts=deaths)
    assert house.waits(3) == ["0.05", "0.05", "0.05"]
    up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 0


def test_a_role_that_lives_long_without_ever_working_is_not_forgiven(house: House) -> None:
    up = house.up({"ingest": "moody"}, calm=0.1)
    house.wait_ready(1)
    for deaths in range(1, 4):
        until(lambda deaths=deaths: len(house.notes("started")) == deaths, "the next start")
        time.sleep(0.0 if deaths == 1 else 0.2)
        kill_the_latest(house, starts=deaths)
    assert house.waits(3)[1:] == ["0.1", "0.2"]
    up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 0


def test_a_role_that_cannot_start_ends_everything_with_the_reason(house: House) -> None:
    up = house.up({"ingest": "broken", "serve": "good"})
    assert up.wait(DEADLINE_S) == 1
    assert "✗ ingest   ended (exit status 1) before it was ready" in house.told()
    assert "the spool is on fire" in house.told()


def test_a_role_that_is_not_ready_in_time_ends_everything_with_its_own_reasons(
    house: House,
) -> None:
    up = house.up({"worker": "unready"}, ready=1.0)
    assert up.wait(DEADLINE_S) == 1
    assert "is not ready after 1 s" in house.told()
    assert "no database" in house.told()


def test_a_role_that_does_not_drain_is_killed_and_the_exit_code_says_so(house: House) -> None:
    up = house.up({"worker": "stubborn", "serve": "good"}, drain=0.3)
    house.wait_ready(2)
    up.send_signal(signal.SIGTERM)
    assert up.wait(DEADLINE_S) == 1
    assert "✗ worker   did not drain in 0.3 s: killed" in house.told()
    assert [name for name, _ in house.notes("drained")] == ["serve"]


def test_a_second_up_on_one_directory_is_refused_and_names_the_first(house: House) -> None:
    first = house.up({"serve": "good"})
    house.wait_ready(1)
    second = house.up({"serve": "good"})
    assert second.wait(DEADLINE_S) == 1
    assert f"Another `burnish up` (pid {first.pid}) runs on {house.data}" in house.told()
    assert first.poll() is None


def test_when_up_is_killed_its_roles_die_with_it_and_another_may_begin(house: House) -> None:
    up = house.up(FOUR)
    house.wait_ready(4)
    up.kill()
    up.wait()
    for _, pid in house.notes("started"):
        until(lambda pid=pid: not alive(pid), "the roles to die")
    again = house.up({"serve": "good"})
    house.wait_ready(5)
    again.send_signal(signal.SIGTERM)
    assert again.wait(DEADLINE_S) == 0


def test_the_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(AlreadyUp, match=str(os.getpid())), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        assert (tmp_path / "up.lock").read_text(encoding="ascii").strip() == str(os.getpid())


def test_a_log_beyond_its_limit_is_moved_aside_and_goes_on_growing(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    log.write_text("old\n" * 100, encoding="utf-8")
    role = Role(name="serve", command=["true"], ready_url="http://127.0.0.1:1/", says="")
    process = RoleProcess(role, log)
    with log.open("a", encoding="utf-8") as writer:
        process.trim_log(limit=1000)
        assert log.stat().st_size == 400
        process.trim_log(limit=100)
        writer.write("new\n")
    assert log.read_text(encoding="utf-8") == "new\n"
    assert (tmp_path / "serve.log.1").read_text(encoding="utf-8") == "old\n" * 100


def test_our_own_roles_are_run_by_this_interpreter_with_these_settings(tmp_path: Path) -> None:
    role = role_of_ours(
        "serve",
        data_dir=tmp_path,
        host="0.0.0.0",  # noqa: S104
        port=8402,
        url="http://127.0.0.1:8402",
        says="predictions",
        environment={"BURNISH_SERVE__AUTH": "true"},
    )
    words = ["serve", "--data", str(tmp_path), "--host", "0.0.0.0", "--port", "8402"]  # noqa: S104
    assert role.command == [sys.executable, "-m", "burnish", *words]
    assert role.ready_url == "http://127.0.0.1:8402/readyz"
    assert role.says == "predictions    http://127.0.0.1:8402"
