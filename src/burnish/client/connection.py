"""One keep-alive connection to one of our roles, in the standard library alone."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

TIMEOUT_S: Final = 30.0
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_FIRST_ERROR: Final = 400


class Unreachable(Exception):
    """The role does not answer: not started, elsewhere, or gone in the middle of an answer."""

    def __init__(self, url: str, why: object) -> None:
        super().__init__(f"{url} does not answer: {why}")
        self.url = url


class ApiProblem(Exception):
    """The role said no, in an RFC 9457 problem document."""

    def __init__(
        self, status: int, document: Mapping[str, Any], *, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after  # seconds after which to try again, if it says
        self.document = dict(document)
        self.code = str(document.get("code") or "unknown")  # stable; for programs
        self.detail = str(document.get("detail") or document.get("title") or "no reason given")
        super().__init__(f"{self.code} ({status}): {self.detail}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, with a status below 400."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case

    @property
    def etag(self) -> str | None:
        """The revision that this answer shows, without quotes; for `if_match`."""
        tag = self.headers.get("etag")
        return tag.removeprefix("W/").strip('"') if tag else None

    def json(self) -> Any:
        """Return the body's JSON value, None if the body is empty."""
        return json.loads(self.body) if self.body else None


class Connection:
    """Requests to one base URL, over a connection kept alive between them. Not thread-safe."""

    def __init__(self, url: str, token: str | None = None, *, timeout: float = TIMEOUT_S) -> None:
        """Take the base URL and the bearer token; nothing is sent yet. `timeout` is in seconds.

        Raises ValueError if the URL is not http or https.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL: write http://HOST:PORT")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._token = token
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return the answer.

        A connection that the other side had closed meanwhile is opened again, and the request
        repeated if repeating it does no harm. Raises ApiProblem for a status of 400 and above,
        Unreachable if no answer comes.
        """
        reused = self._connection is not None
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not (reused and method in _REPEATABLE):
                raise Unreachable(self.url, _why(error)) from error
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(self.url, _why(error)) from error

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str] | None = None, *, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        """GET on a connection of its own and hand out the response, to be read as it comes.

        `timeout` (seconds) bounds each wait for bytes. Raises ApiProblem and Unreachable as
        `request` does, Unreachable too when the response breaks off while it is read.
        """
        connection = self._connect(timeout)
        try:
            connection.request("GET", self._prefix + path, headers=self._headers(headers))
            with connection.getresponse() as response:
                if response.status >= _FIRST_ERROR:
                    raise problem_of(response.status, response.read())
                yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.url, _why(error)) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Answer:
        if self._connection is None:
            self._connection = self._connect(self._timeout)
        self._connection.request(method, self._prefix + path, body, self._headers(headers))
        response = self._connection.getresponse()
        content = response.read()
        if response.will_close:
            self.close()
        names = {name.lower(): value for name, value in response.getheaders()}
        if response.status >= _FIRST_ERROR:
            raise problem_of(response.status, content, names.get("retry-after"))
        return Answer(status=response.status, body=content, headers=names)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "burnish-client"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers | dict(more or {})


def problem_of(status: int, body: bytes, retry_after: str | None = None) -> ApiProblem:
    """Return the problem that an answer tells of, whatever its body looks like."""
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        text = body[:200].decode(errors="replace").strip()
        document = {"title": http.client.responses.get(status, "Error"), "detail": text or None}
    return ApiProblem(status, document, retry_after=seconds)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error) or type(error).__name__
