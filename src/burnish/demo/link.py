"""HTTP to the platform: one kept-alive connection per thread, JSON in and out."""

import http.client
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from burnish.demo.album import DemoError

NO_ANSWER = 0  # the status of a request that got none
_LOST = (OSError, http.client.HTTPException)


class Reply(msgspec.Struct, frozen=True):
    """One answer."""

    status: int
    etag: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return http.client.OK <= self.status < http.client.MULTIPLE_CHOICES

    def json(self) -> Any:
        """Return the body's value. Raises DemoError if it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise DemoError(f"An answer is no JSON: {self.body[:200]!r}") from error


class Link:
    """A connection to one role; not to be shared between threads."""

    def __init__(self, base: str, *, token: str = "", timeout_s: float = 30) -> None:
        """Point at `http://host:port`; connects at the first request."""
        address = urlsplit(base)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=timeout_s
        )
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(
        self, method: str, path: str, body: bytes = b"", *, content_type: str = "application/json"
    ) -> Reply:
        """Send one request, once; a lost connection is a reply with status 0."""
        headers = {**self._headers, "Content-Type": content_type} if body else self._headers
        try:
            return self._exchange(method, path, body, headers)
        except _LOST as error:
            self._connection.close()
            return Reply(NO_ANSWER, "", str(error).encode())

    def insist(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        patience_s: float = 30,
    ) -> Reply:
        """Send a request that may safely be repeated until it gets a 2xx.

        A role that is not there, restarts or asks to wait gets `patience_s` to come back. Raises
        DemoError with the answer when it refuses, or stays away for longer.
        """
        deadline = time.monotonic() + patience_s
        while True:
            reply = self.send(method, path, body, content_type=content_type)
            if reply.ok:
                return reply
            passing = reply.status in {
                NO_ANSWER,
                http.client.TOO_MANY_REQUESTS,
                http.client.SERVICE_UNAVAILABLE,
            }
            if not passing or time.monotonic() > deadline:
                said = reply.body[:500].decode(errors="replace")
                raise DemoError(f"{method} {path} was answered {reply.status}: {said}")
            time.sleep(0.1)

    def get(self, path: str) -> Any:
        """Return the JSON at a path. Raises DemoError."""
        return self.insist("GET", path).json()

    def post(self, path: str, value: Mapping[str, Any]) -> Any:
        """Post a JSON value that may safely be repeated. Raises DemoError."""
        return self.insist("POST", path, msgspec.json.encode(value)).json()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self._connection.request(method, path, body=body or None, headers=dict(headers))
        response = self._connection.getresponse()
        content = response.read()
        return Reply(response.status, response.getheader("ETag", ""), content)
