"""Sockets to hosts on the internet, and to private ones only if the operator names them.

A name is resolved once; every address that it has is looked at, and one of these very addresses is
connected to. So no answer of a name server, however it changes, leads into our own network.
"""

import io
import ipaddress
import socket
import ssl
import time
from typing import Any, Final, Literal

from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.datasets.model import Reason

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last bits
_V4_BITS: Final = (1 << 32) - 1
_PORTS: Final = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(text: str) -> bool:
    """Tell whether an address is one of the internet.

    >>> [is_public(a) for a in ("93.184.216.34", "10.0.0.1", "127.0.0.1", "169.254.169.254")]
    [True, False, False, False]
    >>> is_public("::ffff:10.0.0.1"), is_public("64:ff9b::7f00:1"), is_public("fe80::1%eth0")
    (False, False, False)
    """
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            within = ipaddress.IPv4Address(int(address) & _V4_BITS)
        address = within or address
    return address.is_global and not address.is_multicast


def port_of(scheme: str, port: int | None) -> int:
    """Return the port of a URL."""
    return port or _PORTS[scheme]


class Wire:
    """A connection on which nothing takes longer than its deadline; what `http.client` reads from.

    `deadline` is in seconds of the monotonic clock, and may be set anew for each request.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self.deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send a request."""
        self._socket.settimeout(self.left())
        self._socket.sendall(data)

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        """Return what is received, as a file."""
        del mode
        return io.BufferedReader(_Received(self, self._socket))

    def left(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError if there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for this payload is over")
        return seconds

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


class _Received(io.RawIOBase):
    def __init__(self, wire: Wire, connected: socket.socket) -> None:
        self._wire = wire
        self._socket = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._wire.left())
        return self._socket.recv_into(buffer)


def connect(
    host: str, port: int, *, tls: ssl.SSLContext | None, private: bool, deadline: float
) -> Wire:
    """Connect to a host.

    Args:
        host: a name or an address.
        port: of it.
        tls: None for plain text.
        private: whether it may have addresses that are not of the internet.
        deadline: by which it must answer, in seconds of the monotonic clock.

    Raises:
        PayloadUnusable: it has an address that it must not have.
        PayloadSourceDown: it cannot be reached.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PayloadSourceDown(f"{host} is not known here ({error})") from error
    addresses = [str(one[4][0]) for one in found]
    hidden = [address for address in addresses if not is_public(address)]
    if hidden and not private:
        raise PayloadUnusable(
            Reason.PAYLOAD_NOT_ALLOWED,
            f"{host} is {hidden[0]}, which is no address of the internet: name the host in"
            " payloads.private_hosts if workers may read from it",
        )
    failure: OSError | None = None
    for address in addresses:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            break
        try:
            plain = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            failure = error
            continue
        try:
            return Wire(tls.wrap_socket(plain, server_hostname=host) if tls else plain, deadline)
        except OSError as error:
            plain.close()
            failure = error
    raise PayloadSourceDown(f"{host}:{port} does not answer ({failure or 'too late'})")
