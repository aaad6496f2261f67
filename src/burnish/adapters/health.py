"""Health and metrics over HTTP for a role that has no front of its own, as the worker."""

import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from burnish.kernel.errors import NotFound
from burnish.rim import MEDIA_TYPE, problem

_JSON: Final = "application/json"
_READ_SECONDS: Final = 5  # a slow or silent client costs no thread for longer
_POLL_SECONDS: Final = 0.1  # how soon `close` is noticed


class HealthServer:
    """Serves /healthz, /readyz and /metrics from a thread of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        registry: CollectorRegistry,
        reasons: Callable[[], Sequence[str]],
    ) -> None:
        """Bind the address at once (port 0 picks a free one); `reasons` says why not ready yet."""

        class Handler(_Handler):
            """Answers for this server."""

        Handler.registry = registry
        Handler.reasons = staticmethod(reasons)
        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _POLL_SECONDS},
            name="health",
            daemon=True,
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port. It must have been started."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    reasons: Callable[[], Sequence[str]]
    timeout = _READ_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(HTTPStatus.OK, _JSON, json.dumps({"status": "ok"}).encode())
        elif path == "/readyz":
            reasons = list(self.reasons())
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            state = "not ready" if reasons else "ok"
            body = json.dumps({"status": state, "reasons": reasons}).encode()
            self._answer(status, _JSON, body)
        elif path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        else:
            code, document = problem(NotFound.of("path", path))
            self._answer(HTTPStatus(code), MEDIA_TYPE, json.dumps(document).encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
        """Say nothing: probes come every few seconds and mean nothing when they are answered."""
