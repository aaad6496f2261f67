"""CloudEvents attributes among the headers of an AMQP message (the AMQP binding's binary mode)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

_PREFIXES: Final = ("cloudEvents_", "cloudEvents:")  # the binding allows both


def attributes(headers: Mapping[str, object]) -> dict[str, str]:
    """Return the CloudEvents attributes among headers, `traceparent` with them.

    >>> attributes({"cloudEvents:id": "7", "cloudEvents_source": b"app", "x-death": []})
    {'id': '7', 'source': 'app'}
    """
    found = {}
    for name, value in headers.items():
        prefix = next((one for one in _PREFIXES if name.startswith(one)), None)
        if prefix is not None:
            found[name.removeprefix(prefix).lower()] = _text(value)
        elif name == "traceparent":
            found.setdefault(name, _text(value))
    return found


def _text(value: object) -> str:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
