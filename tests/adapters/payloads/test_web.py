"""Payloads from web servers: allowed hosts only, whatever they answer and wherever they lead."""

import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.adapters.payloads.web import Web
from burnish.datasets.model import Reason
from support.http_server import HttpServer, QuietHandler

MOST = 100_000


class Photos(QuietHandler):
    seen: ClassVar[Counter[str]] = Counter()
    connections: ClassVar[set[object]] = set()

    def answer(self) -> None:
        self.seen[self.path] += 1
        self.connections.add(self.client_address)
        kind = self.path.strip("/").partition("?")[0]
        match kind.split("/"):
            case ["to", *rest]:
                self.reply(302, Location="/".join(rest) if rest[0] == "http:" else "/" + rest[0])
            case ["loop"]:
                self.reply(301, Location="/loop")
            case ["status", status]:
                self.reply(int(status))
            case ["large"]:
                with suppress(OSError):
                    self.reply(200, b"x" * (MOST + 1))
            case ["endless"]:
                self.close_connection = True
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(b"x" * 10_000)
            case ["cut"]:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Length", "500")
                self.end_headers()
                self.wfile.write(b"x" * 100)
            case ["drip"]:
                self.send_response(200)
                self.send_header("Content-Length", "500")
                self.end_headers()
                with suppress(OSError):  # whoever asked has gone
                    for _ in range(500):
                        time.sleep(0.05)
                        self.wfile.write(b"x")
            case _:
                self.reply(200, self.path.encode())


@pytest.fixture
def server() -> Iterator[HttpServer]:
    Photos.seen.clear()
    Photos.connections.clear()
    running = HttpServer(Photos)
    yield running
    running.close()


def web(server: HttpServer, *, timeout_s: float = 20) -> Web:
    return Web(
        max_bytes=MOST, timeout_s=timeout_s, private_hosts=frozenset({f"127.0.0.1:{server.port}"})
    )


@pytest.fixture
def get(server: HttpServer) -> Iterator[Callable[[str], bytes]]:
    with closing(web(server)) as reader:
        yield lambda path: reader.get(f"{server.url}{path}", (f"127.0.0.1:{server.port}",))


def reason(work: Callable[[], object]) -> tuple[Reason, str]:
    with pytest.raises(PayloadUnusable) as raised:
        work()
    return raised.value.reason, raised.value.detail


def test_bytes_come_over_one_connection_that_is_kept(get: Callable[[str], bytes]) -> None:
    assert [get(f"/{number}.jpg?a=b%20c") for number in range(5)] == [
        f"/{number}.jpg?a=b%20c".encode() for number in range(5)
    ]
    assert len(Photos.connections) == 1


def test_a_redirect_to_an_allowed_place_is_followed(get: Callable[[str], bytes]) -> None:
    assert get("/to/7.jpg") == b"/7.jpg"


def test_redirects_end_somewhere(get: Callable[[str], bytes]) -> None:
    assert reason(lambda: get("/loop"))[0] is Reason.PAYLOAD_MISSING
    assert Photos.seen["/loop"] <= 6


@pytest.mark.parametrize("host", ["localhost", "169.254.169.254", "photos.example.evil.org"])
def test_a_redirect_to_another_host_is_not_followed(
    get: Callable[[str], bytes], server: HttpServer, host: str
) -> None:
    found, detail = reason(lambda: get(f"/to/http://{host}:{server.port}/secret"))
    assert found is Reason.PAYLOAD_NOT_ALLOWED
    assert host in detail
    assert not Photos.seen["/secret"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:7f00:1]"],
)
def test_a_private_address_is_not_read_though_the_policy_allows_its_name(
    server: HttpServer, host: str
) -> None:
    reader = Web(max_bytes=MOST, timeout_s=5)
    place = f"{host}:{server.port}"
    found, detail = reason(lambda: reader.get(f"http://{place}/7.jpg", (place,)))
    assert found is Reason.PAYLOAD_NOT_ALLOWED
    assert "payloads.private_hosts" in detail
    assert not Photos.seen


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_not_there_is_missing(get: Callable[[str], bytes], status: int) -> None:
    assert reason(lambda: get(f"/status/{status}"))[0] is Reason.PAYLOAD_MISSING


@pytest.mark.parametrize("path", ["/status/500", "/status/503", "/status/429", "/cut"])
def test_a_server_that_fails_is_down(get: Callable[[str], bytes], path: str) -> None:
    with pytest.raises(PayloadSourceDown, match=r"127\.0\.0\.1"):
        get(path)


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_no_more_is_read_than_may_be(get: Callable[[str], bytes], path: str) -> None:
    assert reason(lambda: get(path))[0] is Reason.PAYLOAD_TOO_LARGE


def test_a_server_that_drips_does_not_hold_us(server: HttpServer) -> None:
    reader = web(server, timeout_s=0.4)
    started = time.monotonic()
    with pytest.raises(PayloadSourceDown):
        reader.get(f"{server.url}/drip", (f"127.0.0.1:{server.port}",))
    assert time.monotonic() - started < 10


def test_a_connection_that_was_closed_meanwhile_is_made_anew(server: HttpServer) -> None:
    reader, allow = web(server), (f"127.0.0.1:{server.port}",)
    assert reader.get(f"{server.url}/1", allow) == b"/1"
    port = server.port
    server.close()
    again = HttpServer(Photos, port)
    try:
        assert reader.get(f"{again.url}/2", allow) == b"/2"
    finally:
        again.close()
    reader.close()
    with pytest.raises(PayloadSourceDown, match="does not answer"):
        reader.get(f"{again.url}/3", allow)


def test_certificates_are_checked(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
               "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key),
               "-out", str(certificate)]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificate can be made here: {error}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                plain = listening.accept()[0]
                try:
                    with context.wrap_socket(plain, server_side=True) as client:
                        client.recv(4096)
                        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        uri, allow = f"https://localhost:{port}/7.jpg", (f"localhost:{port}",)
        private = frozenset({"localhost"})
        trusting = ssl.create_default_context(cafile=str(certificate))
        with pytest.raises(PayloadSourceDown, match="certificate"):
            Web(max_bytes=MOST, timeout_s=5, private_hosts=private).get(uri, allow)
        known = Web(max_bytes=MOST, timeout_s=5, private_hosts=private, tls=trusting)
        with closing(known):
            assert known.get(uri, allow) == b"ok"
        thread.join()
