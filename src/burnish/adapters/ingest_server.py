"""The feedback front's process: its listening socket, its signals, its drain."""

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog
import uvloop

_log = structlog.get_logger("burnish.ingest")

Beside = Callable[[asyncio.Event], Awaitable[None]]  # runs until the event, then ends its work

CONNECTIONS: Final = 4096  # open at once
_SWITCH_S: Final = 0.0005  # a tenth of Python's: the committer must not wait for the loop's turn
_BACKLOG: Final = 1024  # connections that may wait to be accepted
_FILES: Final = 256  # beside the connections: segments, database, objects
_YOUNG_OBJECTS: Final = 20_000  # made before Python looks for garbage among them


class Connections(Protocol):
    """The open connections of a front."""

    def __call__(self) -> asyncio.Protocol:
        """Return a new one."""
        ...

    async def watch(self) -> None:
        """Keep their deadlines, until this is cancelled."""
        ...

    async def drain(self, seconds: float) -> bool:
        """Close each once it has its answer; tell whether all had it in time."""
        ...


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
    connections: Connections,
    on_stop: Callable[[], None],
    drain_s: float,
    fail_stop: FailStop | None = None,
    beside: Sequence[Beside] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; to be called in the main thread.

    Args:
        host: to listen on.
        port: to listen on.
        connections: makes them.
        on_stop: called once no request is left: seals, ships, closes.
        fail_stop: its error, if it got one, is raised at the end.
        drain_s: seconds that requests under way may take to end.
        beside: what else runs on the event loop, such as readers of queues; drained alike.

    Raises:
        OSError: the address is taken.
        BaseException: what `fail_stop` was told.
    """
    sys.setswitchinterval(_SWITCH_S)
    _allow_files(CONNECTIONS + _FILES)
    gc.freeze()  # what is there now stays: nobody needs to look whether it is garbage
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(host, port, connections, drain_s, beside))
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


async def _serve(
    host: str, port: int, connections: Connections, drain_s: float, beside: Sequence[Beside]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(connections, host, port, backlog=_BACKLOG)
    watching = asyncio.create_task(connections.watch())
    stopping = asyncio.create_task(stop.wait())
    others = [asyncio.ensure_future(run(stop)) for run in beside]
    await asyncio.wait({watching, stopping, *others}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    _log.info("ingest.draining")
    server.close()
    drained = asyncio.create_task(connections.drain(drain_s))
    _, late = await asyncio.wait({drained, *others}, timeout=drain_s)
    if late or not await drained:
        _log.warning("ingest.drain_deadline", seconds=drain_s)
    if not watching.cancel():
        watching.result()
    for task in others:
        if task in late:
            task.cancel()
        else:
            task.result()  # raises what ended it, if anything did
