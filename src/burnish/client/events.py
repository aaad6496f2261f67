"""Live events over server-sent events, resumed where they broke off."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from burnish.client.http import Http, Unreachable

# A stream that says nothing for so long is taken for dead; the server's comments keep it alive.
SILENCE_S: Final = 60.0
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0


def live_events(
    http: Http,
    *,
    model: str | None = None,
    after: int | None = None,
    reconnecting: Callable[[Unreachable], None] = lambda _broken: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[dict[str, Any], None, None]:
    """Yield events as they happen, without end, each once and in order.

    `after` is the id after which to begin, None for now. When the stream breaks it is opened again
    with the last id seen, so that none is missed; `reconnecting` is told each time. Raises
    Unreachable if the stream never opened, ApiProblem if the server refuses.
    """
    last, opened, wait = after, False, _FIRST_WAIT_S
    while True:
        try:
            for event_id, event in _stream(http, model, last):
                opened, wait = True, _FIRST_WAIT_S
                if event is not None:
                    last = event_id
                    yield event
            broken = Unreachable(http.url, "the stream of events ended")
        except Unreachable as error:
            if not opened:
                raise
            broken = error
        reconnecting(broken)
        sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_S)


def parse_stream(lines: Iterator[bytes]) -> Iterator[tuple[int | None, str]]:
    r"""Yield (id, data) of each event in the lines of a stream. (WHATWG HTML, section 9.2.6).

    >>> list(parse_stream(iter([b"id: 7\n", b"data: {}\n", b": ping\n", b"\n"])))
    [(7, '{}')]
    """
    event_id: int | None = None
    data: list[str] = []
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line:
            if data:
                yield event_id, "\n".join(data)
            data = []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id" and value.isdecimal():
            event_id = int(value)


def _stream(
    http: Http, model: str | None, last: int | None
) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
    """Yield (last, None) once the stream is open, then each event. Raises as `stream` does."""
    query = {
        name: str(value) for name, value in (("model", model), ("after", last)) if value is not None
    }
    headers = {"Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    path = "/v1/events" + ("?" + urlencode(query) if query else "")
    with http.stream(path, headers, timeout=SILENCE_S) as response:
        yield last, None
        for event_id, data in parse_stream(iter(response.readline, b"")):
            yield event_id, json.loads(data)
