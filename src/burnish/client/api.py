"""The control API for programs: plain JSON values in, plain JSON values out."""

import json
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import quote, urlencode

from burnish.client.events import live_events
from burnish.client.http import ONCE, TIMEOUT_S, Answer, ApiProblem, Http, Retry, Unreachable

__all__ = ["Answer", "ApiClient", "ApiProblem", "Unreachable", "path"]

_JSON = "application/json"


class ApiClient:
    """A control plane, an ingest or a serve process, by its URL; safe in any thread.

    Every method raises ApiProblem if the role says no, Unreachable if it does not answer.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        retry: Retry = ONCE,
    ) -> None:
        """Take the role's URL and the bearer token. Raises ValueError if either cannot be one.

        `retry` is the patience with which requests that may arrive twice are repeated.
        """
        self._http = Http(url, token, timeout=timeout, retry=retry)

    @property
    def url(self) -> str:
        """The role's URL."""
        return self._http.url

    def get(self, path: str, **query: str | int | None) -> Answer:
        """Read a thing. Query parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._http.request("GET", path + ("?" + urlencode(given) if given else ""))

    def items(self, path: str, **query: str | int | None) -> list[dict[str, Any]]:
        """Read a list."""
        return list(self.get(path, **query).json()["items"])

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        if_match: str | None = None,
        content_type: str = _JSON,
        idempotent: bool = False,
    ) -> Answer:
        """Ask for a change. `body` is bytes as they are, or a value sent as JSON.

        It is sent once at most, unless it is `idempotent`: then it may arrive twice.
        """
        return self._send("POST", path, body, if_match, content_type, idempotent=idempotent)

    def put(
        self,
        path: str,
        body: Any,
        *,
        if_match: str | None = None,
        content_type: str = _JSON,
    ) -> Answer:
        """Store a thing; `if_match` is the revision that it must still have."""
        return self._send("PUT", path, body, if_match, content_type, idempotent=True)

    def events(
        self,
        *,
        model: str | None = None,
        after: int | None = None,
        reconnecting: Callable[[Unreachable], None] = lambda _broken: None,
    ) -> Generator[dict[str, Any], None, None]:
        """Yield events as they happen, without end; see `live_events`."""
        return live_events(self._http, model=model, after=after, reconnecting=reconnecting)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        if_match: str | None,
        content_type: str,
        *,
        idempotent: bool,
    ) -> Answer:
        headers = {"Content-Type": content_type}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self._http.request(method, path, content, headers, idempotent=idempotent)


def path(*parts: str) -> str:
    """Return the path of a thing of the API, its parts quoted.

    >>> path("datasets", "laundry@3")
    '/v1/datasets/laundry@3'
    """
    return "/v1/" + "/".join(quote(part, safe="@") for part in parts)
