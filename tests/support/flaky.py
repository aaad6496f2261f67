"""A proxy in front of an S3 server that answers, or does not, as a bad day in a network would."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Final

import pytest

from support.http_server import HttpServer, QuietHandler
from support.s3 import S3Server

FINE: Final = ""
REFUSED: Final = {"500": 500, "503": 503}
LATE: Final = "late"  # the server has done it; the client hears nothing and gives up
LOST: Final = "lost"  # the server has done it; the connection breaks before its answer
CUT: Final = "cut"  # the connection breaks in the middle of the upload
CUT_ANSWER: Final = "cut answer"  # the server has done it; the connection breaks in its answer
_TIMEOUT_S: Final = 30
_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class FlakyS3:
    """The proxy; its trouble begins and ends at a word, for one method alone."""

    def __init__(self, server: S3Server) -> None:
        self._target = server.port
        self._method = "PUT"
        self.mode = FINE
        self.troubled = 0  # requests that met with trouble
        self.given_up = threading.Event()  # ends the waiting of LATE
        proxy = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                proxy.answer(self)

            do_HEAD = do_DELETE = do_GET = do_POST = do_PUT = answer  # noqa: N815

        self._http = HttpServer(Handler)
        self.url = self._http.url

    def trouble(self, mode: str, method: str = "PUT") -> None:
        self._method, self.troubled, self.mode = method, 0, mode

    def end_trouble(self) -> None:
        self.mode = FINE

    def close(self) -> None:
        self.given_up.set()
        self._http.close()

    def answer(self, request: QuietHandler) -> None:
        mode = self.mode if request.command == self._method else FINE
        length = int(request.headers.get("Content-Length") or 0)
        if mode != FINE:
            self.troubled += 1
        if mode == CUT:
            part = request.rfile.read(length // 2)
            self._forward_part(request, part)
            hang_up(request)
            return
        body = request.rfile.read(length)
        if mode in REFUSED:
            request.reply(REFUSED[mode], b"<Error><Code>InternalError</Code></Error>")
            return
        try:
            response, content = self._forward(request, body)
        except (OSError, http.client.HTTPException):
            hang_up(request)
            return
        if mode in {LATE, LOST}:
            if mode == LATE:
                self.given_up.wait(_TIMEOUT_S)
            hang_up(request)
            return
        self._pass_on(request, response, content, whole=mode != CUT_ANSWER)

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=_TIMEOUT_S)
        with contextlib.closing(connection):
            # With the Host that the client named: it has signed it.
            connection.putrequest(
                request.command, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            return response, response.read()

    def _forward_part(self, request: BaseHTTPRequestHandler, part: bytes) -> None:
        """Send the beginning of an upload, and hang up on the server too."""
        with socket.create_connection(("127.0.0.1", self._target), _TIMEOUT_S) as server:
            head = [f"{request.command} {request.path} HTTP/1.1"]
            head += [f"{name}: {value}" for name, value in request.headers.items()]
            server.sendall("\r\n".join([*head, "", ""]).encode() + part)

    def _pass_on(
        self,
        request: BaseHTTPRequestHandler,
        response: http.client.HTTPResponse,
        content: bytes,
        *,
        whole: bool,
    ) -> None:
        request.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                request.send_header(name, value)
        has_body = request.command != "HEAD"
        said = len(content) if has_body else int(response.headers.get("Content-Length") or 0)
        request.send_header("Content-Length", str(said if whole else said + 1))
        request.end_headers()
        if has_body:
            request.wfile.write(content if whole else content[: len(content) // 2])
        if not whole:
            hang_up(request)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def flaky(s3: S3Server) -> Iterator[FlakyS3]:
    """A proxy in front of the session's S3 server."""
    proxy = FlakyS3(s3)
    yield proxy
    proxy.close()
