"""The ingest role as a process, killed while queues are read; PostgreSQL killed beside it."""

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import psycopg
import pytest

from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.system import utc_now
from burnish.kernel.policy import Kind
from burnish.scaffold import policy_text
from support.postgres import Postgres
from support.rabbitmq import Broker, depths

DEADLINE_S = 90
SEED = 7
INSERT = "INSERT INTO burnish_feedback (body) VALUES (%s)"


class Role:
    """The ingest role on a data folder; may be killed and started again."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {f"BURNISH_INGEST__{name.upper()}": settings[name] for name in settings}
        (data / "models").mkdir()
        policy = policy_text("laundry", Kind.IMAGE_CLASSIFICATION)
        (data / "models" / "laundry.toml").write_text(policy)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, crash_at: str = "") -> None:
        command = ["ingest", "--data", str(self.data), "--port", str(self.port)]
        with (self.data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "burnish", *command],
                env={**os.environ, **self._environment, "BURNISH_CRASH_AT": crash_at},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def ready(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as said:
                answer: dict[str, Any] = json.load(said)
                return answer
        except OSError:
            return None

    def ids(self) -> list[str]:
        """The ids in the raw log, read beside the process."""
        engine = make_engine(f"sqlite:///{self.data / 'burnish.db'}")
        try:
            objects = LocalObjects(self.data / "objects", base_url="", secret=b"", clock=utc_now)
            log = RawLogReader(objects, engine)
            return [one.id for one in log.read("0", 0, log.end().get("0", 0))]
        finally:
            engine.dispose()

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError((self.data / "log").read_text()[-4000:])


class Application:
    """Sends records from a thread until it is stopped, and notes which were acknowledged."""

    def __init__(self, name: str, send: Callable[["Application"], None]) -> None:
        self.name = name
        self.acknowledged: set[str] = set()
        self.enough = threading.Event()
        self._thread = threading.Thread(target=send, args=(self,))
        self._thread.start()

    def record(self, number: int) -> tuple[str, str]:
        id_ = f"{self.name}-{number}"
        document = {
            "source": "app",
            "id": id_,
            "model": "laundry",
            "subject_id": id_,
            "predicted": "good",
            "final": "defect",
            "corrected": True,
            "actor": "kim",
            "occurred_at": "2026-05-01T10:00:00+09:00",
            "payload": "burnish:sha256:" + "ab" * 32,
        }
        return id_, json.dumps(document)

    def stop(self) -> set[str]:
        self.enough.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return self.acknowledged


def inserting(url: str) -> Callable[[Application], None]:
    """Insert one row a transaction, through whatever happens to the server."""

    def send(application: Application) -> None:
        number = 0
        while not application.enough.is_set():
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
                connection.execute("SET synchronous_commit = on")
                connection.commit()
                while not application.enough.is_set():
                    number += 1
                    id_, body = application.record(number)
                    connection.execute(INSERT, (body,))
                    connection.commit()
                    application.acknowledged.add(id_)
                    time.sleep(0.002)

    return send


def publishing(url: str, queue: str) -> Callable[[Application], None]:
    """Publish with confirms."""

    async def send(application: Application) -> None:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            number = 0
            while not application.enough.is_set():
                number += 1
                id_, body = application.record(number)
                message = aio_pika.Message(
                    body.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                )
                await channel.default_exchange.publish(message, queue, mandatory=True)
                application.acknowledged.add(id_)
                await asyncio.sleep(0.002)

    return lambda application: asyncio.run(send(application))


@pytest.fixture
def new_role(tmp_path: Path) -> Iterator[Callable[..., Role]]:
    made: list[Role] = []

    def make(**settings: str) -> Role:
        made.append(Role(tmp_path, seal_seconds="1", **settings))
        return made[-1]

    yield make
    for role in made:
        role.kill()


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_a_role_killed_at_any_moment_loses_and_doubles_nothing_of_either_queue(
    new_role: Callable[..., Role], own_postgres: Postgres, broker: Broker, kills: int
) -> None:
    # Given applications that write to both queues all the while.
    url = own_postgres.url(own_postgres.create())
    queue = f"killed-role-{kills}"
    role = new_role(rabbitmq_url=broker.url, rabbitmq_queue=queue, postgres_queue_url=url)
    role.start()
    role.until(lambda: (role.ready() or {}).get("status") == "ok")
    applications = [
        Application("row", inserting(url)),
        Application("message", publishing(broker.url, queue)),
    ]

    # When the process is killed at any moment, and right between spool and acknowledgement.
    moment = random.Random(SEED)
    for _ in range(kills):
        role.until(role.ids)
        time.sleep(moment.uniform(0, 0.5))
        role.kill()
        role.start(crash_at="ingest.after_sync")
        role.until(role.ended)
        role.kill()
        role.start()
        role.until(lambda: (role.ready() or {}).get("status") == "ok")

    # Then all that was acknowledged to them is in the raw log, each record once.
    acknowledged = set().union(*(one.stop() for one in applications))
    role.until(lambda: acknowledged <= set(role.ids()))
    role.until(lambda: depths(broker.url, queue) == (0, 0))
    assert max(Counter(role.ids()).values()) == 1


def test_postgres_killed_in_the_middle_is_said_and_its_committed_rows_come_in_once(
    new_role: Callable[..., Role], own_postgres: Postgres
) -> None:
    url = own_postgres.url(own_postgres.create())
    role = new_role(postgres_queue_url=url)
    role.start()
    role.until(lambda: (role.ready() or {}).get("status") == "ok")
    application = Application("row", inserting(url))
    role.until(lambda: len(application.acknowledged) > 50)
    own_postgres.kill()
    role.until(lambda: (role.ready() or {}).get("status") == "degraded")
    own_postgres.start()
    role.until(lambda: (role.ready() or {}).get("status") == "ok")
    acknowledged = application.stop()
    role.until(lambda: acknowledged <= set(role.ids()))
    assert max(Counter(role.ids()).values()) == 1


def test_a_queue_that_cannot_be_reached_degrades_the_front_and_stops_it_not(
    new_role: Callable[..., Role],
) -> None:
    role = new_role(rabbitmq_url="amqp://kim:secret@127.0.0.1:1/")
    role.start()
    said = role.until(lambda: (role.ready() or {}).get("status") == "degraded" and role.ready())
    assert "RabbitMQ at 127.0.0.1:1" in said["reasons"][0]
    assert "secret" not in (role.data / "log").read_text()


def test_an_address_that_cannot_be_ends_the_role_at_once(new_role: Callable[..., Role]) -> None:
    role = new_role(rabbitmq_url="amqp://kim:secret@host:port/")
    role.start()
    role.until(role.ended)
    log = (role.data / "log").read_text()
    assert "ingest.rabbitmq_url" in log
    assert "secret" not in log
