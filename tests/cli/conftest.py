"""A double of the platform that speaks real HTTP, and the command line pointed at it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner, Result

from burnish.cli.app import build
from burnish.cli.session import Endpoints, Surroundings
from support.http_server import HttpServer, QuietHandler

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answerer = Callable[[Request], Reply]


class Platform(HttpServer):
    """Answers as it was told to, by method and path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Answerer] = {}
        self.asked: list[Request] = []
        platform = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                parts = urlsplit(self.path)
                request = Request(
                    method=self.command,
                    path=parts.path,
                    query={name: values[0] for name, values in parse_qs(parts.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.body(),
                )
                platform.asked.append(request)
                reply = platform.routes.get((request.method, request.path), missing)(request)
                body = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
                self.reply(reply.status, body, **reply.headers)

        super().__init__(Handler)

    def on(self, method: str, path: str, *replies: Reply | Any) -> None:
        """Answer a path with these replies in turn, the last one for ever."""
        turn = iter(replies)
        last: list[Any] = []

        def answer(_: Request) -> Reply:
            last[:] = [next(turn, *last)]
            return last[0] if isinstance(last[0], Reply) else Reply(last[0])

        self.routes[method, path] = answer

    def said_to(self, method: str, path: str) -> list[Request]:
        return [r for r in self.asked if (r.method, r.path) == (method, path)]


def _json(value: Any) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


def missing(request: Request) -> Reply:
    return refusal(404, "not_found", f"There is nothing at {request.path!r}.")


def refusal(status: int, code: str, detail: str, **headers: str) -> Reply:
    document = {"type": "about:blank", "status": status, "code": code, "detail": detail}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(document, status, {"Content-Type": "application/problem+json", **names})


@pytest.fixture
def platform() -> Iterator[Platform]:
    platform = Platform()
    yield platform
    platform.close()


@dataclass
class Terminal:
    """The command line of a person beside a data directory."""

    app: typer.Typer
    data: Path

    def run(self, *words: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(self.app, list(words), input=stdin)

    def json(self, *words: str, stdin: bytes | None = None) -> Any:
        result = self.run(*words, "--json", stdin=stdin)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def terminal(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("URL", "INGEST_URL", "SERVE_URL", "TOKEN", "DATA"):
        monkeypatch.delenv(f"BURNISH_{name}", raising=False)
    (tmp_path / "admin.token").write_text("bn_secret\n", encoding="utf-8")
    ids = iter(f"id-{n}" for n in range(1000))

    def locate(data: Path | None) -> tuple[Path, Endpoints]:
        url = platform.url
        return data or tmp_path, Endpoints(control=url, ingest=url, serve=url, worker=url)

    surroundings = Surroundings(
        locate=locate, now=lambda: NOW, new_id=lambda: next(ids), user=lambda: "kim"
    )
    return Terminal(build(surroundings), tmp_path)


@pytest.fixture
def answered() -> type[Reply]:
    """Make a reply: body, status, headers."""
    return Reply


@pytest.fixture
def refused() -> Callable[..., Reply]:
    """Make a problem document's reply: status, code, detail."""
    return refusal
