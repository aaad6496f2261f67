"""What every client command shares: where the roles are, who asks, how to print, how to fail."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec import Struct

from burnish.cli.output import Output
from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.client.http import TIMEOUT_S
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError
from burnish.kernel.ids import Ids

EXIT_REFUSED: Final = 1  # the platform said no
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_INTERRUPTED: Final = 130  # as a shell reports Ctrl-C

PANEL: Final = "Connection"
_TOKEN_FILE: Final = "admin.token"  # noqa: S105


class Endpoints(Struct, frozen=True, kw_only=True):
    """The URL of each role."""

    control: str
    ingest: str
    serve: str
    worker: str


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the commands take from the machine that they run on."""

    locate: Callable[[Path | None], tuple[Path, Endpoints]]  # data directory and roles, by --data
    now: Clock
    new_id: Ids
    user: Callable[[], str]  # who runs the command


class Asked(Struct, frozen=True, kw_only=True):
    """The connection options as they were given; None where one was not."""

    url: str | None = None
    ingest_url: str | None = None
    serve_url: str | None = None
    token: str | None = None
    data: Path | None = None

    def over(self, other: "Asked") -> "Asked":
        """Return these options, the others' where they say nothing."""
        return Asked(
            url=self.url or other.url,
            ingest_url=self.ingest_url or other.ingest_url,
            serve_url=self.serve_url or other.serve_url,
            token=self.token or other.token,
            data=self.data or other.data,
        )


class Root(Struct, frozen=True, kw_only=True):
    """What the command `burnish` itself hands down to its commands."""

    surroundings: Surroundings
    asked: Asked
    as_json: bool = False


class Session:
    """One command's way to the roles and to its reader."""

    def __init__(self, surroundings: Surroundings, asked: Asked, out: Output) -> None:
        """Resolve the options; nothing is sent yet. Raises BurnishError for broken settings."""
        self.surroundings = surroundings
        self.out = out
        self.data, found = surroundings.locate(asked.data)
        self.endpoints = Endpoints(
            control=asked.url or found.control,
            ingest=asked.ingest_url or found.ingest,
            serve=asked.serve_url or found.serve,
            worker=found.worker,
        )
        self.token = asked.token or _token_of(self.data)
        self._clients: list[ApiClient] = []

    @functools.cached_property
    def control(self) -> ApiClient:
        """The control plane."""
        return self.client(self.endpoints.control)

    @functools.cached_property
    def ingest(self) -> ApiClient:
        """The feedback front."""
        return self.client(self.endpoints.ingest)

    @functools.cached_property
    def serve(self) -> ApiClient:
        """The serving replica."""
        return self.client(self.endpoints.serve)

    def client(self, url: str, *, timeout: float = TIMEOUT_S) -> ApiClient:
        """Return a client of one role, closed with the session. A URL that is none: usage error."""
        try:
            client = ApiClient(url, self.token, timeout=timeout)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()


UrlOption = Annotated[str | None, typer.Option(help="URL of control.", rich_help_panel=PANEL)]
IngestOption = Annotated[str | None, typer.Option(help="URL of ingest.", rich_help_panel=PANEL)]
ServeOption = Annotated[str | None, typer.Option(help="URL of serve.", rich_help_panel=PANEL)]
TokenOption = Annotated[
    str | None,
    typer.Option(help="Bearer token; default: DIR/admin.token.", rich_help_panel=PANEL),
]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Data directory; default: ./burnish-data.", rich_help_panel=PANEL),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the API's JSON.", rich_help_panel=PANEL)
]


def connected(function: Callable[..., None]) -> Callable[..., None]:
    """Make a Typer command of a function of a session: the connection options come after its own.

    Options given after the command win over those given before it, and those over the environment.
    """
    own = list(inspect.signature(function).parameters.values())[1:]

    def run(  # its parameters are named as their options
        *,
        context: typer.Context,
        url: UrlOption = None,
        ingest_url: IngestOption = None,
        serve_url: ServeOption = None,
        token: TokenOption = None,
        data: DataOption = None,
        json_: JsonOption = False,
        **rest: Any,
    ) -> None:
        root: Root = context.obj
        asked = Asked(
            url=url, ingest_url=ingest_url, serve_url=serve_url, token=token, data=data
        ).over(root.asked)
        out = Output(as_json=json_ or root.as_json)
        with _failures(out):
            session = Session(root.surroundings, asked, out)
            try:
                function(session, **rest)
            finally:
                session.close()

    added = list(inspect.signature(run).parameters.values())[:-1]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *added]]
    functools.update_wrapper(run, function)
    # Typer reads the signature and, for names not yet resolved, the annotations.
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


@contextmanager
def _failures(out: Output) -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    try:
        yield
    except ApiProblem as problem:
        out.refuse(problem.code, problem.detail, problem.document)
        raise typer.Exit(EXIT_REFUSED) from problem
    except BurnishError as error:
        out.refuse(error.code, error.detail, {"code": error.code, "detail": error.detail})
        raise typer.Exit(EXIT_REFUSED) from error
    except Unreachable as error:
        fix = "Start it with `burnish up`, or say where it is: --url, --ingest-url, --serve-url."
        out.refuse("unreachable", f"{error}. {fix}", {"code": "unreachable", "detail": str(error)})
        raise typer.Exit(EXIT_UNREACHABLE) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _token_of(data: Path) -> str | None:
    try:
        return (data / _TOKEN_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
