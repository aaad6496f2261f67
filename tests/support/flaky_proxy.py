"""A proxy that misbehaves as told: refuses, loses requests, and loses or garbles answers."""

import http.client
from collections import Counter
from collections.abc import Callable
from enum import Enum
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from support.http_server import HttpServer, QuietHandler

PATIENCE_S = 30


class Fault(Enum):
    """What happens to one request."""

    NONE = "none"
    BUSY = "429"  # with Retry-After
    UNAVAILABLE = "503"
    DROPPED = "dropped"  # it never arrives
    LOST = "lost"  # it arrives, but the connection breaks before its answer
    TORN = "torn"  # half of the answer comes back
    STRANGER = "stranger"  # something else answers 200


class FlakyProxy(HttpServer):
    """Hands requests on to a server; before each, `plan` says what goes wrong.

    `asked` holds the (path, body) of every request, `done` counts the faults.
    """

    def __init__(
        self,
        upstream: str,
        plan: Callable[[], Fault] = lambda: Fault.NONE,
        *,
        retry_after: str = "0",
    ) -> None:
        self.upstream, self.plan, self.retry_after = upstream, plan, retry_after
        self.asked: list[tuple[str, bytes]] = []
        self.done: Counter[Fault] = Counter()
        self._noting = Lock()
        proxy = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                body = self.body()
                with proxy._noting:
                    proxy.asked.append((self.path, body))
                    fault = proxy.plan()
                    proxy.done[fault] += 1
                match fault:
                    case Fault.BUSY:
                        self.reply(429, b"{}", Retry_After=proxy.retry_after)
                    case Fault.UNAVAILABLE:
                        self.reply(503, b"{}")
                    case Fault.STRANGER:
                        self.reply(200, b"<html>sign in first</html>", Content_Type="text/html")
                    case Fault.DROPPED:
                        self.close_connection = True
                    case _:
                        self.hand_on(body, fault)

            def hand_on(self, body: bytes, fault: Fault) -> None:
                status, content, headers = proxy.ask(self.command, self.path, body, self.headers)
                if fault is Fault.NONE:
                    self.reply(status, content, **headers)
                    return
                self.close_connection = True
                if fault is Fault.TORN:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[: len(content) // 2])

        super().__init__(Handler)

    def ask(
        self, method: str, path: str, body: bytes, headers: Any
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask the server itself, on a connection of its own."""
        parts = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=PATIENCE_S
        )
        kept = {
            name: value
            for name, value in headers.items()
            if name.lower() not in {"host", "connection", "content-length", "expect"}
        }
        try:
            connection.request(method, path, body, kept)
            response = connection.getresponse()
            content = response.read()
        except OSError:  # nobody there, or gone
            return 502, b"{}", {}
        finally:
            connection.close()
        named = {
            name: response.headers[name]
            for name in ("Content-Type", "Retry-After")
            if name in response.headers
        }
        return response.status, content, {n.replace("-", "_"): v for n, v in named.items()}
