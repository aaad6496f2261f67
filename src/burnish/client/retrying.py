"""HTTP for the clients: kept-alive connections, and patience with servers that come and go.

A request is repeated on a connection error, on 429 and on 5xx, after an exponentially growing,
randomly shortened pause, or after the `Retry-After` that the server asked for. So it suits only
requests that may arrive twice; every write of Burnish's API is one.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERRORS: Final = 500  # and above
_JITTER: Final = random.SystemRandom()


class Unreachable(ConnectionError):
    """The server gave no answer until the deadline."""


class Response(NamedTuple):
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError if it is none."""
        return json.loads(self.body)

    def problem(self) -> str:
        """Return the code of a problem document, or an empty string.

        >>> Response(409, {}, b'{"code": "state.stale"}').problem()
        'state.stale'
        """
        try:
            return str(self.json()["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class Retry(NamedTuple):
    """How long to insist, in seconds; `deadline` 0 means one attempt."""

    deadline: float = 30.0
    first_pause: float = 0.1
    longest_pause: float = 10.0

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the pause after the given attempt (0 the first), with full jitter."""
        if asked is not None:
            return asked
        ceiling = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30))
        return _JITTER.uniform(0.0, ceiling)


ONCE: Final = Retry(deadline=0.0)
_PATIENT: Final = Retry()
_Address = tuple[str, str]


class Http:
    """A pool of kept-alive connections; safe in any thread. `close` it, or use it in a `with`.

    `timeout` bounds each wait on the socket, in seconds. `clock` (monotonic seconds) and `sleep`
    are arguments so that a test need not wait.
    """

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        retry: Retry = _PATIENT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timeout, self._retry, self._clock, self._sleep = timeout, retry, clock, sleep
        self._idle: dict[_Address, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the pool may be used again."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry: Retry | None = None,
    ) -> Response:
        """Send a request and return the answer, whatever its status; the last one if repeated.

        Raises Unreachable if no answer came until the deadline, ValueError if the URL is not
        http(s). Redirects are answers like any other.
        """
        patience = self._retry if retry is None else retry
        begun, attempt = self._clock(), 0
        while True:
            answer, failure = self._attempt(method, url, body, headers or {})
            if answer is not None and not _worth_repeating(answer.status):
                return answer
            pause = patience.pause(attempt, None if answer is None else _asked_pause(answer))
            if self._clock() - begun + pause >= patience.deadline:
                if answer is not None:
                    return answer
                raise Unreachable(f"{method} {_shown(url)}: {failure}") from failure
            self._sleep(pause)
            attempt += 1

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """GET once and yield the open answer, to be read as it comes (`timeout` None: for ever).

        Raises OSError or http.client.HTTPException if the server cannot be reached.
        """
        parts = _parts(url)
        connection = _connect((parts.scheme, parts.netloc), timeout)
        try:
            connection.request("GET", _target(parts), headers=dict(headers or {}))
            yield connection.getresponse()
        finally:
            connection.close()

    def _attempt(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Response | None, Exception | None]:
        """Try once; a kept connection that the server has closed meanwhile is replaced at once."""
        parts = _parts(url)
        address = (parts.scheme, parts.netloc)
        while True:
            kept = self._take(address)
            connection = kept or _connect(address, self._timeout)
            try:
                connection.request(method, _target(parts), body=body, headers=dict(headers))
                with connection.getresponse() as raw:
                    names = {name.lower(): value for name, value in raw.getheaders()}
                    answer = Response(raw.status, names, raw.read())
                    closing = raw.will_close
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept is not None and not isinstance(error, TimeoutError):
                    continue
                return None, error
            except BaseException:
                connection.close()
                raise
            if closing:
                connection.close()
            else:
                self._give_back(address, connection)
            return answer, None

    def _take(self, address: _Address) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(address)
            return idle.pop() if idle else None

    def _give_back(self, address: _Address, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.setdefault(address, []).append(connection)


def _connect(address: _Address, timeout: float | None) -> http.client.HTTPConnection:
    scheme, netloc = address
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(netloc, timeout=timeout)


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{_shown(url)!r} is no http(s) URL: write it as http://host:port/path")
    return parts


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _shown(url: str) -> str:
    """Leave out the query, which may hold a signature."""
    return url.partition("?")[0]


def _worth_repeating(status: int) -> bool:
    return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS


def _asked_pause(answer: Response) -> float | None:
    """Return what Retry-After asks for, in seconds; it may be a number or a date."""
    asked = answer.headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
