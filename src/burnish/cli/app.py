"""The command `burnish`: its options, and the commands that are clients of the API."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli import (
    datasets,
    evaluations,
    feedback,
    jobs,
    live,
    models,
    observe,
    releases,
    runs,
    triggers,
)
from burnish.cli.doctor import burnish_version, doctor
from burnish.cli.session import PANEL, Asked, Root, Surroundings

_HELP = "Turn production corrections into better model releases, without downtime."


def build(surroundings: Surroundings) -> typer.Typer:
    """Return the application with every client command; `__main__` adds the roles."""
    app = typer.Typer(no_args_is_help=True, help=_HELP, pretty_exceptions_enable=False)

    @app.callback()
    def root(
        context: typer.Context,
        *,
        url: Annotated[
            str | None,
            typer.Option(envvar="BURNISH_URL", help="URL of control.", rich_help_panel=PANEL),
        ] = None,
        ingest_url: Annotated[
            str | None,
            typer.Option(envvar="BURNISH_INGEST_URL", help="URL of ingest.", rich_help_panel=PANEL),
        ] = None,
        serve_url: Annotated[
            str | None,
            typer.Option(envvar="BURNISH_SERVE_URL", help="URL of serve.", rich_help_panel=PANEL),
        ] = None,
        token: Annotated[
            str | None,
            typer.Option(
                envvar="BURNISH_TOKEN",
                help="Bearer token; default: DIR/admin.token.",
                rich_help_panel=PANEL,
            ),
        ] = None,
        data: Annotated[
            Path | None,
            typer.Option(
                envvar="BURNISH_DATA",
                help="Data directory; default: ./burnish-data.",
                rich_help_panel=PANEL,
            ),
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print the API's JSON.", rich_help_panel=PANEL)
        ] = False,
        version: Annotated[  # read by its callback alone
            bool,
            typer.Option(
                "--version", help="Print the version.", is_eager=True, callback=_print_version
            ),
        ] = False,
    ) -> None:
        del version
        context.obj = Root(
            surroundings=surroundings,
            asked=Asked(
                url=url, ingest_url=ingest_url, serve_url=serve_url, token=token, data=data
            ),
            as_json=as_json,
        )

    app.add_typer(models.app, name="model")
    app.add_typer(feedback.app, name="feedback")
    app.add_typer(datasets.app, name="dataset")
    app.add_typer(triggers.app, name="trigger")
    app.add_typer(runs.app, name="run")
    app.add_typer(jobs.app, name="job")
    app.add_typer(evaluations.app, name="evaluation")
    app.add_typer(releases.app, name="release")
    app.command("rollback")(releases.rollback)
    app.command("live")(live.live)
    app.command("predict")(observe.predict)
    app.command("watch")(observe.watch)
    app.add_typer(observe.audit_app, name="audit")
    app.command("doctor")(doctor)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"burnish {burnish_version()}")
        raise typer.Exit
