"""Payloads over HTTP and HTTPS: from allowed hosts only, wherever they redirect to."""

import http.client
import socket
import ssl
import threading
import time
from collections import defaultdict
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from burnish.adapters.payloads.addresses import Wire, connect, port_of
from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.datasets.model import Reason
from burnish.feedback.admission import payload_allowed

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16  # bytes
_TRANSIENT: Final = frozenset({408, 425, 429})  # and every 5xx
_HEADERS: Final = ("Accept: image/*,*/*;q=0.5", "Accept-Encoding: identity", "User-Agent: burnish")

Origin = tuple[str, str, int]  # scheme, host, port


class _Broken(PayloadSourceDown):
    """The connection ended before the answer did."""


class Web:
    """Gets what lies on web servers. Environment variables for proxies are not heeded.

    Args:
        max_bytes: of one payload.
        timeout_s: for one payload, with all its redirects.
        private_hosts: `host` or `host:port`, those that may have a private address.
        tls: how certificates are checked; the machine's trust unless given.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_s: float,
        private_hosts: frozenset[str] = frozenset(),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._private = private_hosts
        self._tls = tls or ssl.create_default_context()
        self._idle: defaultdict[Origin, list[Wire]] = defaultdict(list)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections that are kept for the next payload; it may go on all the same."""
        with self._lock:
            idle, self._idle = self._idle, defaultdict(list)
        for wire in (one for kept in idle.values() for one in kept):
            wire.close()

    def get(self, uri: str, allow: tuple[str, ...]) -> bytes:
        """Return the bytes at a URI that `allow` covers. Raises PayloadUnusable, PayloadSourceDown.

        A redirect is followed if `allow` covers where it leads, and it does not give up encryption.
        """
        deadline = time.monotonic() + self._timeout_s
        for _ in range(_MOST_REDIRECTS + 1):
            found = self._once(uri, deadline)
            if isinstance(found, bytes):
                return found
            target = urljoin(uri, found)
            downgrade = uri.startswith("https:") and not target.startswith("https:")
            if downgrade or not payload_allowed(target, allow):
                raise PayloadUnusable(
                    Reason.PAYLOAD_NOT_ALLOWED,
                    f"it redirects to {target[:200]}, which payload.allow does not cover",
                )
            uri = target
        raise PayloadUnusable(
            Reason.PAYLOAD_MISSING, f"it redirects more than {_MOST_REDIRECTS} times"
        )

    def _once(self, uri: str, deadline: float) -> bytes | str:
        """Return the bytes, or where else to look."""
        parts = urlsplit(uri)
        origin = parts.scheme, parts.hostname or "", port_of(parts.scheme, parts.port)
        asked = _request(parts)
        with self._lock:
            idle = self._idle[origin]
            wire = idle.pop() if idle else None
        if wire is not None:
            wire.deadline = deadline
            with suppress(_Broken):  # it may simply have been closed meanwhile
                return self._ask(wire, asked, origin)
        return self._ask(self._connect(origin, deadline), asked, origin)

    def _connect(self, origin: Origin, deadline: float) -> Wire:
        scheme, host, port = origin
        return connect(
            host,
            port,
            tls=self._tls if scheme == "https" else None,
            private=bool({host, f"{host}:{port}"} & self._private),
            deadline=deadline,
        )

    def _ask(self, wire: Wire, asked: bytes, origin: Origin) -> bytes | str:
        whole = False
        try:
            wire.sendall(asked)
            # It reads from whatever makes a file, as a socket does.
            response = http.client.HTTPResponse(cast("socket.socket", wire), method="GET")
            response.begin()
            answer = self._answer(response, origin)
            read = response.isclosed() or response.length == 0
            whole = read and not response.will_close
        except (http.client.HTTPException, OSError) as error:
            where = f"{origin[1]}:{origin[2]}"
            raise _Broken(f"{where} broke off ({error!r:.200})") from error
        finally:
            if whole:
                with self._lock:
                    self._idle[origin].append(wire)
            else:
                wire.close()
        return answer

    def _answer(self, response: http.client.HTTPResponse, origin: Origin) -> bytes | str:
        status, where = response.status, f"{origin[1]}:{origin[2]}"
        if status in _REDIRECTS and (location := response.headers.get("Location")):
            return str(location)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
            raise PayloadSourceDown(f"{where} answers {status}")
        if status != HTTPStatus.OK:
            raise PayloadUnusable(Reason.PAYLOAD_MISSING, f"{where} answers {status}")
        announced = response.length or 0
        body = bytearray()
        while max(announced, len(body)) <= self._max_bytes:
            part = response.read1(_CHUNK)
            if not part:
                break
            body += part
        else:
            raise too_large(self._max_bytes)
        if len(body) < announced:
            raise http.client.IncompleteRead(bytes(body), announced - len(body))
        return bytes(body)


def too_large(most: int) -> PayloadUnusable:
    """Return the error for a payload that is larger than we take."""
    return PayloadUnusable(
        Reason.PAYLOAD_TOO_LARGE, f"it is larger than payloads.max_bytes ({most})"
    )


def _request(parts: SplitResult) -> bytes:
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?") if parts.query else ""
    )
    host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *_HEADERS, "", ""]
    return "\r\n".join(lines).encode("ascii")
