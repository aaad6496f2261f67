"""Names of things. An identifier is a string that sorts by the time of its making (UUIDv7)."""

from collections.abc import Callable
from typing import NewType
from uuid import UUID

ReleaseId = NewType("ReleaseId", str)
RunId = NewType("RunId", str)
JobId = NewType("JobId", str)
DatasetId = NewType("DatasetId", str)  # "<model>@<number>"
Ids = Callable[[], str]  # makes a fresh UUIDv7

_RANDOM_BYTES = 10  # a UUIDv7 carries 74 random bits after its 48-bit millisecond time


def uuid7(unix_ms: int, random: bytes) -> str:
    """Return the UUIDv7 of a time and 10 random bytes. (RFC 9562, section 5.7).

    >>> uuid7(0x017F22E279B0, bytes(10))
    '017f22e2-79b0-7000-8000-000000000000'
    """
    if len(random) != _RANDOM_BYTES:
        raise ValueError(f"random has {len(random)} bytes: give {_RANDOM_BYTES}")
    noise = int.from_bytes(random)
    high, low = noise >> 68, noise & ((1 << 62) - 1)
    return str(UUID(int=unix_ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
