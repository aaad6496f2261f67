"""The platform's roles over HTTP, with patience for one that is being restarted."""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from burnish.client.api import Answer, ApiClient, ApiProblem, Unreachable
from burnish.demo.album import DemoError

PATIENCE_S: Final = 30.0
_WAIT_S: Final = 0.1
_PASSING: Final = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
)


class Link:
    """Requests that may safely be repeated, to one role. Not to be shared between threads."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Point at a role; nothing is sent yet."""
        self._client = ApiClient(url, token)

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Return the JSON object at a path. Raises DemoError if it cannot be had."""
        found: dict[str, Any] = _insist(lambda: self._client.get(path, **query)).json()
        return found

    def items(self, path: str, **query: str | int | None) -> list[dict[str, Any]]:
        """Return the items of a list. Raises DemoError if it cannot be had."""
        found: list[dict[str, Any]] = self.get(path, **query)["items"]
        return found

    def post(
        self, path: str, body: bytes | Mapping[str, Any], *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Post something and return the JSON answer. Raises DemoError if it is not taken."""
        taken: dict[str, Any] = _insist(
            lambda: self._client.post(path, body, content_type=content_type)
        ).json()
        return taken

    def answers(self, path: str) -> bool:
        """Tell whether a path is answered with success, now."""
        try:
            self._client.get(path)
        except (ApiProblem, Unreachable):
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def _insist(ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer; a refusal that will not pass, or 30 s, ends it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except ApiProblem as problem:
            if problem.status not in _PASSING or time.monotonic() > deadline:
                raise DemoError(f"The platform refused: {problem}.") from problem
            wait = problem.retry_after or _WAIT_S
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise DemoError(str(error)) from error
            wait = _WAIT_S
        time.sleep(wait)
