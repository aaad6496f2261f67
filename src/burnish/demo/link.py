"""The platform's roles over HTTP, with patience for one that is being restarted."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from burnish.client.retrying import ONCE, Http, Response, Unreachable
from burnish.demo.album import DemoError


class Link:
    """Requests to one role. Every write of the story may arrive twice, so each may be repeated."""

    def __init__(self, url: str, token: str = "") -> None:
        """Point at a role; nothing is sent yet."""
        self._url, self._http = url, Http()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return the JSON object at a path. Raises DemoError if it cannot be had."""
        return self._ask("GET", path + ("?" + urlencode(query) if query else ""))

    def items(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Return the items of a list. Raises DemoError if it cannot be had."""
        found: list[dict[str, Any]] = self.get(path, **query)["items"]
        return found

    def post(
        self, path: str, body: bytes | Mapping[str, Any], *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Post bytes, or a value as JSON; return the answer. Raises DemoError if refused."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", path, content, {"Content-Type": content_type})

    def answers(self, path: str) -> bool:
        """Tell whether a path is answered with success, now."""
        try:
            reply = self._http.request("GET", self._url + path, headers=self._headers, retry=ONCE)
        except Unreachable:
            return False
        return _good(reply)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> dict[str, Any]:
        try:
            reply = self._http.request(
                method, self._url + path, body=body, headers={**self._headers, **headers}
            )
        except Unreachable as error:
            raise DemoError(str(error)) from error
        if not _good(reply):
            said = reply.body[:500].decode(errors="replace")
            raise DemoError(f"{method} {path} was answered {reply.status}: {said}")
        found: dict[str, Any] = reply.json()
        return found


def _good(reply: Response) -> bool:
    return HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES
