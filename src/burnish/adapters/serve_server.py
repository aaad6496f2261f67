"""uvicorn as our HTTP server, and a serving replica on it: its own signals, its own drain."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, Protocol

import uvicorn
import uvloop

KEEP_ALIVE_S: Final = 75  # an idle connection lives as long as common proxies hold theirs
BACKLOG: Final = 2048
SWITCH_INTERVAL_S: Final = 0.0005  # the loop waits no longer than this for a computing thread


def configuration(
    app: Any, *, host: str, port: int, drain_seconds: float, lifespan: Literal["on", "off"]
) -> uvicorn.Config:
    """Return how every front of ours on uvicorn serves: HTTP/1.1 alone, and our own log lines."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(drain_seconds),
        backlog=BACKLOG,
    )


class Front(Protocol):
    """The ASGI application of a replica, which knows how to go down."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        ...

    def drain(self) -> None:
        """Say from now on that this replica should get no more requests."""
        ...

    def close(self) -> None:
        """Let go of everything, once no request is left."""
        ...


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process has its own order of going down."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_start is not None:
            self._on_start(self.port)

    @property
    def port(self) -> int:
        """The port that it listens on, also if it was told to choose one (0)."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ServeServer:
    """The front of one replica. `run` in the main thread also listens to SIGTERM and SIGINT."""

    def __init__(
        self,
        app: Front,
        *,
        host: str,
        port: int,
        drain_seconds: float,
        on_start: Callable[[int], None] | None = None,
    ) -> None:
        self._app = app
        self._server = _Server(
            configuration(app, host=host, port=port, drain_seconds=drain_seconds, lifespan="off"),
            on_start,
        )

    @property
    def started(self) -> bool:
        """Whether it accepts connections."""
        return self._server.started

    @property
    def port(self) -> int:
        """The port that it listens on, also if it was told to choose one (0)."""
        return self._server.port

    def run(self) -> None:
        """Serve until stopped, then answer what is in flight."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())
        self._app.close()

    def stop(self) -> None:
        """Begin to drain; safe from any thread, and more than once."""
        self._app.drain()
        self._server.should_exit = True

    async def _serve(self) -> None:
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        await self._server.serve()


def run_serve(
    app: Front,
    host: str,
    port: int,
    on_stop: Callable[[], None],
    *,
    drain_seconds: float,
    on_start: Callable[[int], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, answer what is in flight, then call `on_stop`.

    `on_start` hears the port once it accepts connections (0 lets the system choose one).
    """
    try:
        ServeServer(app, host=host, port=port, drain_seconds=drain_seconds, on_start=on_start).run()
    finally:
        on_stop()
