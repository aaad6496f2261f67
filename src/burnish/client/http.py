"""HTTP for the clients: connections kept alive, patience with servers, and problems as errors.

A request that may arrive twice is repeated on a connection error, on 408, 429 and 5xx, after the
`Retry-After` that the server asked for and an exponentially growing, random pause. Which may is
known of GET, HEAD, PUT and DELETE; of a POST only the caller knows. (RFC 9110, section 9.2.2)
"""

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

TIMEOUT_S: Final = 30.0
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_WAITED_OUT: Final = frozenset({408, 429})  # refusals that pass by themselves, beside 5xx
_SERVER_ERRORS: Final = 500  # and above
_JITTER: Final = random.SystemRandom()

_Address = tuple[str, str]  # scheme, host and port


class Unreachable(ConnectionError):
    """The server does not answer: not started, elsewhere, or gone in the middle of an answer."""

    def __init__(self, url: str, why: object) -> None:
        super().__init__(f"{url} does not answer: {why}")
        self.url = url
        self.retry_after: float | None = None  # nobody said
        self.passing = True


class ApiProblem(Exception):
    """The server said no, in an RFC 9457 problem document."""

    def __init__(
        self, status: int, document: Mapping[str, Any], *, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after  # seconds after which to try again, if it says
        self.passing = status in _WAITED_OUT or status >= _SERVER_ERRORS  # try again later
        self.document = dict(document)
        self.code = str(document.get("code") or "unknown")  # stable; for programs
        self.detail = str(document.get("detail") or document.get("title") or "no reason given")
        super().__init__(f"{self.code} ({status}): {self.detail}")


class Answer(NamedTuple):
    """A whole answer that is no problem; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str | None:
        """The revision that this answer shows, without quotes; for `if_match`."""
        tag = self.headers.get("etag")
        return tag.removeprefix("W/").strip('"') if tag else None

    def json(self) -> Any:
        """Return the body's JSON value, None if the body is empty. Raises ValueError."""
        return json.loads(self.body) if self.body else None


class Retry(NamedTuple):
    """How long to insist, in seconds; `deadline` 0 means one attempt."""

    deadline: float = 30.0
    first_pause: float = 0.1
    longest_pause: float = 10.0

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the pause after the given attempt (0 the first): what was asked for, and jitter.

        Without jitter, everybody who was told the same would come back at the same moment.
        """
        ceiling = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30))
        return (asked or 0.0) + _JITTER.uniform(0.0, ceiling)


ONCE: Final = Retry(deadline=0.0)


class Http:
    """A pool of kept-alive connections; safe in any thread. `close` it, or use it in a `with`.

    With a `url`, requests name paths below it and carry the bearer token; without, they name whole
    URLs. `timeout` bounds each wait on the socket, in seconds. `clock` (monotonic seconds) and
    `sleep` are arguments so that a test need not wait.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        retry: Retry = ONCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Send nothing yet. White space around the token is dropped, as of a file's last line.

        Raises ValueError if the URL is not http or https, or no header can carry the token.
        """
        self.url = "" if url is None else _parts(url).geturl().rstrip("/")
        self._headers = {"User-Agent": "burnish-client"}
        if token and (bare := token.strip()):
            self._headers["Authorization"] = f"Bearer {_sendable(bare)}"
        self._timeout, self._retry, self._clock, self._sleep = timeout, retry, clock, sleep
        self._idle: dict[_Address, list[http.client.HTTPConnection]] = {}
        self._busy: set[http.client.HTTPConnection] = set()
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up: a request under way, and every later one, raises Unreachable."""
        with self._lock:
            self._closed = True
            for connection in self._busy:
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retry: Retry | None = None,
        idempotent: bool | None = None,
    ) -> Answer:
        """Send a request and return the answer: 2xx, or 304; redirects are not followed.

        `idempotent` says whether it may arrive twice, where the method does not tell. Raises
        ApiProblem for any other status, Unreachable if no answer came until the deadline of
        `retry`, ValueError if the URL is not http(s).
        """
        parts = _parts(self.url + url)
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        patience = (self._retry if retry is None else retry) if repeatable else ONCE
        begun, attempt = self._clock(), 0
        while True:
            try:
                return self._attempt(method, parts, body, headers or {}, again=repeatable)
            except (ApiProblem, Unreachable) as error:
                pause = patience.pause(attempt, error.retry_after)
                late = self._clock() - begun + pause >= patience.deadline
                if late or self._closed or not error.passing:
                    raise
            self._sleep(pause)
            attempt += 1

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None, *, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        """GET on a connection of its own and hand out the response, to be read as it comes.

        `timeout` (seconds) bounds each wait for bytes. Raises ApiProblem and Unreachable as
        `request` does, Unreachable too when the response breaks off while it is read.
        """
        parts = _parts(self.url + url)
        connection = _connection(parts, timeout)
        try:
            connection.request("GET", _target(parts), headers=self._headers | dict(headers or {}))
            with connection.getresponse() as response:
                if not _good(response.status):
                    raise _problem(response, response.read())
                yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_origin(parts), _why(error)) from error
        finally:
            connection.close()

    def _attempt(
        self,
        method: str,
        parts: SplitResult,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        again: bool,
    ) -> Answer:
        """Try once; a kept connection that the server has closed meanwhile is replaced at once."""
        while True:
            connection, kept = self._take(parts)
            done = False
            try:
                if not kept:
                    connection.connect()
                if self._closed:
                    raise ConnectionAbortedError("we have hung up")
                connection.request(method, _target(parts), body, self._headers | dict(headers))
                response = connection.getresponse()
                content = response.read()
                done = not response.will_close
            except (OSError, http.client.HTTPException) as error:
                if kept and again and not self._closed and not isinstance(error, TimeoutError):
                    continue
                raise Unreachable(_origin(parts), _why(error)) from error
            finally:
                self._give_back(parts, connection, usable=done)
            if not _good(response.status):
                raise _problem(response, content)
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, content)

    def _take(self, parts: SplitResult) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it was kept from an earlier request."""
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            connection = idle.pop() if idle else _connection(parts, self._timeout)
            self._busy.add(connection)
            return connection, connection.sock is not None

    def _give_back(
        self, parts: SplitResult, connection: http.client.HTTPConnection, *, usable: bool
    ) -> None:
        with self._lock:
            self._busy.discard(connection)
            if usable and not self._closed:
                self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)
            else:
                connection.close()


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url.partition('?')[0]!r} is not a URL: write http://HOST:PORT")
    return parts


def _sendable(token: str) -> str:
    """Return the token; if it is refused, it stays a secret."""
    if not (token.isascii() and token.isprintable()):
        raise ValueError("the token holds what no header can carry: give it on one line, in ASCII")
    return token


def _origin(parts: SplitResult) -> str:
    """Return what an error may show: a query may hold a signature."""
    return f"{parts.scheme}://{parts.netloc}"


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _good(status: int) -> bool:
    return status < http.client.MULTIPLE_CHOICES or status == http.client.NOT_MODIFIED


def _problem(response: http.client.HTTPResponse, body: bytes) -> ApiProblem:
    """Return the problem that an answer tells of, whatever its body looks like."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        text = body[:200].decode(errors="replace").strip()
        title = http.client.responses.get(response.status, "Error")
        document = {"title": title, "detail": text or None}
    asked = _seconds(response.headers.get("Retry-After", ""))
    return ApiProblem(response.status, document, retry_after=asked)


def _seconds(retry_after: str) -> float | None:
    """Return what Retry-After asks for; it may be a number of seconds or a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:  # as a zone of -0000 is read; it means UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__
