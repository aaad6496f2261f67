"""The feedback front on granian's embedded server: one process, one event loop, its own threads."""

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

_log = structlog.get_logger("burnish.ingest")

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
Beside = Callable[[asyncio.Event], Awaitable[None]]  # runs until the event, then ends its work

_SWITCH_S: Final = 0.0005  # a tenth of Python's: the committer must not wait for the loop's turn
_BACKLOG: Final = 1024  # connections that may wait to be accepted
_CONNECTIONS: Final = 4096  # open at once; the next ones wait until a deadline frees a place
_FILES: Final = 256  # beside the connections: segments, database, objects
_BUFFER_BYTES: Final = 64 << 10  # of a connection: bounds its headers, and what a stranger can hold


class FailStop:
    """Ends this process when a part of it has failed for good, as the spool does on a failed sync.

    Give it as `failed` to the parts; `serve_ingest` drains, then raises what it was told.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __call__(self, error: BaseException) -> None:
        """Note the error and ask for the end."""
        if self.error is None:
            self.error = error
            os.kill(os.getpid(), signal.SIGTERM)


def serve_ingest(
    *,
    host: str,
    port: int,
    app: Asgi,
    on_stop: Callable[[], None],
    header_deadline_s: float,
    drain_s: float,
    fail_stop: FailStop | None = None,
    beside: Sequence[Beside] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; to be called in the main thread.

    Args:
        host: to listen on.
        port: to listen on.
        app: ASGI, without lifespan.
        on_stop: called once no request is left: seals, ships, closes.
        fail_stop: its error, if it got one, is raised at the end.
        header_deadline_s: seconds that a client may take for its headers, from the moment when it
            connects or has its last answer: an idle connection ends as a slow one does.
        drain_s: seconds that requests under way may take to end.
        beside: what else runs on the event loop, such as readers of queues; drained alike.

    Raises:
        OSError: the address is taken.
        BaseException: what `fail_stop` was told.
    """
    sys.setswitchinterval(_SWITCH_S)
    _allow_files(_CONNECTIONS + _FILES)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            _check_free(host, port)
            server = Server(
                app,
                address=host,
                port=port,
                interface=Interfaces.ASGINL,
                http=HTTPModes.http1,  # the choice between versions has no deadline
                backlog=_BACKLOG,
                backpressure=_CONNECTIONS,
                websockets=False,
                log_enabled=False,
                http1_settings=HTTP1Settings(
                    header_read_timeout=int(header_deadline_s * 1000),
                    max_buffer_size=_BUFFER_BYTES,
                ),
            )
            runner.run(_serve(server, drain_s, beside))
    finally:
        on_stop()
    if fail_stop is not None and fail_stop.error is not None:
        raise fail_stop.error


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_free(host: str, port: int) -> None:
    """Raise OSError if somebody listens: granian would share the port with them, silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


async def _serve(server: Server, drain_s: float, beside: Sequence[Beside]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    others = [asyncio.ensure_future(run(stop)) for run in beside]
    await asyncio.wait({serving, stopping, *others}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    stop.set()
    if not serving.done():
        _log.info("ingest.draining")
        finish: Callable[[], None] = server.stop
        finish()
    _, late = await asyncio.wait({serving, *others}, timeout=drain_s)
    if late:
        _log.warning("ingest.drain_deadline", seconds=drain_s)
    for task in (serving, *others):
        if task in late:
            task.cancel()
        else:
            task.result()  # raises what ended it, if anything did
