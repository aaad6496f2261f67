"""The program `burnish`: the client commands of `cli`, and those that run the platform itself."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish import config
from burnish.adapters.system import new_id, user_name, utc_now
from burnish.cli.app import build
from burnish.cli.reference import reference
from burnish.cli.session import EXIT_REFUSED, EXIT_USAGE, Endpoints, Root, Surroundings
from burnish.kernel.errors import BurnishError, InvalidInput
from burnish.kernel.policy import Kind
from burnish.scaffold import initialise
from burnish.settings import Settings

DataOption = Annotated[
    Path | None, typer.Option(help="Data directory; default: BURNISH_DATA, then ./burnish-data.")
]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on.")]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Metadata database: sqlite:///FILE (default: in the data directory) or "
        "postgresql://…; a password is better kept in BURNISH_DATABASE__URL.",
    ),
]
LevelOption = Annotated[
    str | None, typer.Option("--log-level", help="debug, info, warning or error.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as in ingest.seal_seconds=5."),
]


def build_app() -> typer.Typer:
    """Return the whole command line."""
    app = build(Surroundings(locate=_locate, now=utc_now, new_id=new_id, user=user_name))
    app.command("init")(_init)
    app.command("up")(_up)
    for role, does in (
        ("ingest", "Run the feedback front: accepts corrections and makes them durable."),
        ("control", "Run the control plane: the API and the live events."),
        ("worker", "Run the worker: datasets, runs, training jobs, evaluation, releases."),
        ("serve", "Run serving: answers predictions with the active release."),
    ):
        app.command(role, help=does)(_role(role))
    app.command("queue-sql")(_queue_sql)
    app.command("demo")(_demo)
    app.command("reference", hidden=True)(_reference)
    return app


def main() -> None:
    """Run the command line of this process."""
    try:
        build_app()()
    except InvalidInput as error:
        _fail(error, EXIT_USAGE)
    except BurnishError as error:
        _fail(error, EXIT_REFUSED)


def _init(
    context: typer.Context,
    data: DataOption = None,
    model: Annotated[str | None, typer.Option(help="Write a policy for this model too.")] = None,
    kind: Annotated[Kind, typer.Option(help="What sort of model.")] = Kind.IMAGE_CLASSIFICATION,
    labels: Annotated[str, typer.Option(help="Its classes, with commas.")] = "good,defect",
) -> None:
    """Write a commented settings file, and a policy if a model is named. Overwrites nothing."""
    directory = config.load(_data(context, data)).data
    classes = tuple(label.strip() for label in labels.split(","))
    for path, written in initialise(directory, model, kind, classes):
        typer.echo(f"{'wrote' if written else 'kept '} {path}")
    typer.echo(f"Next: burnish up --data {directory}")


def _up(
    context: typer.Context,
    data: DataOption = None,
    database: DatabaseOption = None,
    log_level: LevelOption = None,
    assignments: SetOption = None,
) -> None:
    """Run everything on this machine: ingest, control, worker and serve, kept alive."""
    flags = _flags(assignments, {"database.url": database, "log.level": log_level})
    _run("up", config.load(_data(context, data), flags))


def _role(role: str) -> Callable[..., None]:
    def run(
        context: typer.Context,
        data: DataOption = None,
        host: HostOption = None,
        port: PortOption = None,
        *,
        database: DatabaseOption = None,
        log_level: LevelOption = None,
        assignments: SetOption = None,
    ) -> None:
        named = {
            f"{role}.host": host,
            f"{role}.port": port,
            "database.url": database,
            "log.level": log_level,
        }
        flags = _flags(assignments, named)
        _run(role, config.load(_data(context, data), flags))

    return run


def _demo(
    model: Annotated[
        str, typer.Option(help="solar (real photos) or laundry (rendered, quick).")
    ] = "solar",
    json_: Annotated[Path | None, typer.Option("--json", help="Write the numbers here.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the story with its plots here, as an HTML page.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this directory.")] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An empty metadata database, postgresql://… say; default: one in the directory.",
        ),
    ] = None,
    *,
    chaos: Annotated[
        bool,
        typer.Option("--chaos", help="Kill worker, ingest and control at random in every round."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Draw the moments of --chaos from this; default: any.")
    ] = None,
) -> None:
    """Walk the whole loop on photos, in a scratch directory, with progress bars."""
    code = _load("burnish.demo").run(
        model=model,
        json_path=json_,
        report=report,
        keep=keep,
        database=database,
        chaos=chaos,
        seed=seed,
    )
    raise typer.Exit(code)


def _queue_sql(
    context: typer.Context, data: DataOption = None, assignments: SetOption = None
) -> None:
    """Print the SQL of the PostgreSQL queue, for a database where ingest may make no tables."""
    table = config.load(_data(context, data), _flags(assignments, {})).ingest.postgres_queue_table
    typer.echo(_load("burnish.adapters.queues.postgres_sql").tables_text(table), nl=False)


def _reference() -> None:
    """Print docs/cli.md."""
    typer.echo(reference(build_app()), nl=False)


def _run(role: str, settings: Settings) -> None:
    """Hand over to a part of `bootstrap`, which returns an exit code or nothing."""
    raise typer.Exit(_load(f"burnish.bootstrap.{role}").run(settings) or 0)


def _load(module: str) -> Any:
    """Import what only some commands need: a client command starts without the whole platform."""
    return import_module(module)


def _data(context: typer.Context, given: Path | None) -> Path | None:
    """Return --data as given after the command, else before it (or by BURNISH_DATA)."""
    root: Root = context.obj
    return given or root.asked.data


def _flags(assignments: list[str] | None, named: dict[str, str | int | None]) -> dict[str, str]:
    """Return the settings that the command line gives. Raises SettingsError for a bad --set."""
    flags = {}
    for assignment in assignments or ():
        key, equals, value = assignment.partition("=")
        if not equals:
            raise config.SettingsError.of("--set", assignment, "write KEY=VALUE")
        flags[key.strip()] = value.strip()
    return flags | {key: str(value) for key, value in named.items() if value is not None}


def _locate(data: Path | None) -> tuple[Path, Endpoints]:
    """Return the data directory, and where its settings say that the roles are."""
    settings = config.load(data)
    return settings.data, Endpoints(
        control=settings.control.url,
        ingest=settings.ingest.url,
        serve=settings.serve.url,
        worker=_worker_url(settings),
    )


def _worker_url(settings: Settings) -> str:
    return f"http://{config.reachable(settings.worker.host)}:{settings.worker.port}"


def _fail(error: BurnishError, code: int) -> None:
    sys.stderr.write(f"✗ {error.code}  {error.detail}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
