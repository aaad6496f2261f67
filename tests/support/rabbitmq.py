"""A RabbitMQ broker of the tests' own, from Debian's package, on free loopback ports."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aio_pika
import pytest

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
EPMD: Final = "epmd"
START_S: Final = 90
CONFIG: Final = """
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users = none
log.file.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""


class Broker:
    """A node with its own files, ports and name; may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, distribution, self._epmd_port = _free_ports(3)
        config = folder / "rabbitmq.conf"
        config.write_text(CONFIG.format(port=self.port))
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"burnish-{os.getpid()}@localhost",
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # Ours: started by the node it would be a daemon that nobody knows the id of.
        self._epmd = subprocess.Popen(
            [EPMD, "-address", "127.0.0.1", "-port", str(self._epmd_port)], env=self._environment
        )
        self._until(self._epmd_port, self._epmd)
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def process_group(self) -> int:
        """That of the running node's processes."""
        assert self._node is not None
        return self._node.pid

    def start(self) -> None:
        """Start the node, with what it kept, and wait until it takes connections."""
        log = (self._folder / "out").open("ab")
        self._node = subprocess.Popen(
            [str(SERVER)], env=self._environment, stdout=log, stderr=log, process_group=0
        )
        log.close()
        self._until(self.port, self._node)

    def kill(self) -> None:
        """End the node at once: the shell script and what it started are one process group."""
        if self._node is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._node.pid, signal.SIGKILL)
            self._node.wait()
            self._node = None
            _until_closed(self.port)

    def remembers(self, queue: str) -> bool:
        """Tell whether a quorum queue, and that of its dead letters, would outlive a kill.

        The node writes the list of its queues half a second after the last change.
        """
        lists = self._folder.glob("mnesia/*/quorum/*/names.dets")
        known = b"".join(one.read_bytes() for one in lists)
        dead = known.count(f"{queue}.dead".encode())
        return 0 < dead < known.count(queue.encode())

    def close(self) -> None:
        self.kill()
        self._epmd.kill()
        self._epmd.wait()

    def _until(self, port: int, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        out = self._folder / "out"
        raise RuntimeError(out.read_text()[-2000:] if out.exists() else f"{process.args} ended")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _until_closed(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        time.sleep(0.05)
    raise RuntimeError(f"something still listens on {port}")


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker for this session, which a test may kill if it starts it again; else it skips."""
    if not SERVER.exists() or shutil.which(EPMD) is None:
        pytest.skip("no RabbitMQ to start: apt-get install rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="burnish-mq-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = Broker(folder)
        stack.callback(made.close)
        made.start()
        yield made


async def publish(
    url: str, queue: str, messages: Sequence[tuple[bytes, str | None, Mapping[str, Any]]]
) -> None:
    """Send bodies with their content types and headers to a queue that exists, each confirmed."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for body, content_type, headers in messages:
            message = aio_pika.Message(
                body,
                content_type=content_type,
                headers=dict(headers),
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await channel.default_exchange.publish(message, queue, mandatory=True)


def depths(url: str, queue: str) -> tuple[int, int] | None:
    """Return how many messages are ready in a queue and among its dead letters; None if not made.

    A quorum queue counts with some delay.
    """

    async def look() -> tuple[int, int]:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            found = [
                await channel.declare_queue(name, passive=True) for name in (queue, f"{queue}.dead")
            ]
            counts = [one.declaration_result.message_count or 0 for one in found]
            return counts[0], counts[1]

    try:
        return asyncio.run(look())
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return None
