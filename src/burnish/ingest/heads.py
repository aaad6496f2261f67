"""Heads of requests: what they say, and those that come again and again."""

import hashlib
import re
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl

from burnish.feedback.parse import attributes

_END: Final = b"\r\n\r\n"
_ORIGIN: Final = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")  # as proxies are told
_ASKING: Final = (b"expect", b"transfer-encoding", b"upgrade")
_MOST: Final = 256  # remembered at once
_MOST_BYTES: Final = 2 << 10  # of one that is remembered


class Head:
    """What comes before a body: the same bytes always say the same.

    Args:
        method: as sent.
        target: path and query, as sent.
        headers: names in lower case.
        keep_alive: whether another request may follow on the same connection.
    """

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        *,
        keep_alive: bool,
    ) -> None:
        path, _, query = _ORIGIN.sub(b"", target).partition(b"?")
        self.method = method
        self.path = path.decode("latin-1")
        self.headers = headers
        self.keep_alive = keep_alive
        self._named = dict(reversed(headers))  # the first of each name
        self._query = query

    @property
    def is_plain(self) -> bool:
        """Whether it asks for nothing but an answer: no conversation, no other length."""
        return self.keep_alive and self._named.keys().isdisjoint(_ASKING)

    @property
    def waits(self) -> bool:
        """Whether the client sends its body only once it is asked for."""
        return b"expect" in self._named

    @cached_property
    def length(self) -> int | None:
        """How many bytes the body has, None if that is not said."""
        declared = self._named.get(b"content-length", b"")
        return int(declared.lstrip(b"0") or b"0") if declared.isdigit() else None

    @cached_property
    def ce(self) -> dict[str, str]:
        """The CloudEvents attributes among the headers. Raises MalformedFeedback."""
        return attributes(self.headers)

    @cached_property
    def authority(self) -> bytes:
        """SHA-256 of what says who asks."""
        return hashlib.sha256(self._named.get(b"authorization", b"")).digest()

    @cached_property
    def content_type(self) -> str | None:
        """What the body is."""
        return self.header(b"content-type")

    @cached_property
    def content_encoding(self) -> str | None:
        """How the body is compressed."""
        return self.header(b"content-encoding")

    def parameter(self, name: str) -> str | None:
        """Return the first query parameter of a name."""
        query = self._query.decode("latin-1")
        return next((value for key, value in parse_qsl(query) if key == name), None)

    def header(self, name: bytes) -> str | None:
        """Return the first header of a lower-case name."""
        value = self._named.get(name)
        return None if value is None else value.decode("latin-1")


class Heads:
    """Heads that came before: a client says the same with each record, and is read once.

    What is remembered was read by the parser, as part of a request that came in one piece. Only the
    very same bytes find it, before a body of the length that they announce.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return head and body of a request, None unless its head is known and it is all there."""
        end = data.find(_END) + len(_END)
        head = self._known.get(data[:end])
        if head is None or end + (head.length or 0) != len(data):
            return None
        return head, data[end:]

    def learn(self, data: bytes, head: Head) -> None:
        """Remember the head of a request, which is all there is."""
        end = data.find(_END) + len(_END)
        if end + (head.length or 0) != len(data) or end > _MOST_BYTES or not head.is_plain:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[data[:end]] = head
