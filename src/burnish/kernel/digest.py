"""Content addresses: `sha256:<64 hex digits>` of bytes, or of a value's one canonical encoding."""

import hashlib
import re
from collections.abc import Iterable

import msgspec

_CANONICAL = msgspec.json.Encoder(order="deterministic")
_HEX = re.compile(r"[0-9a-f]{64}")
PREFIX = "sha256:"
_ADDRESS = re.compile(PREFIX + _HEX.pattern)

Part = bytes | memoryview  # of the bytes of one object


def digest(*parts: Part) -> str:
    """Return the content address of bytes, without joining their parts.

    >>> digest(b"ab") == digest(b"a", b"b")
    True
    """
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return PREFIX + state.hexdigest()


def digest_lines(lines: Iterable[bytes]) -> str:
    """Return the content address of lines, each closed by a newline, without joining them."""
    state = hashlib.sha256()
    for line in lines:
        state.update(line)
        state.update(b"\n")
    return PREFIX + state.hexdigest()


def canonical(value: object) -> bytes:
    """Return the JSON of a value with sorted keys and no white space: equal values, equal bytes."""
    return _CANONICAL.encode(value)


def is_address(text: str) -> bool:
    """Tell whether a text is a content address.

    >>> is_address("sha256:" + "0a" * 32), is_address("0a" * 32)
    (True, False)
    """
    return _ADDRESS.fullmatch(text) is not None


def hexadecimal(address: str) -> str:
    """Return the 64 hex digits of a content address. Raises ValueError if it is not one."""
    name = address.removeprefix(PREFIX)
    if _HEX.fullmatch(name) is None:
        raise ValueError(f"{address!r} is not a digest: write sha256:<64 hex digits>")
    return name
