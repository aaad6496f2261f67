"""`burnish release` and `burnish rollback`: what serves, what served, and the way back."""

from typing import Annotated

import typer

from burnish.cli.output import facts, moment, table
from burnish.cli.session import Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Releases.")


@app.command("list")
@connected
def list_releases(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
) -> None:
    """List releases."""
    answer = session.control.get(path("releases"), model=model).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("RELEASE", lambda r: r["id"]),
                ("MODEL", lambda r: r["model"]),
                ("VERSION", lambda r: r["model_version"]),
                ("STATE", lambda r: r["state"]),
                ("GENERATION", lambda r: r["generation"]),
                ("DEPLOYED", lambda r: moment(r["deployed_at"])),
                ("REASON", lambda r: r["reason"]),
            ],
            "No releases yet: the first run that passes its gates makes one.",
        ),
    )


@app.command("show")
@connected
def show(
    session: Session,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="The release's id.")],
) -> None:
    """Show a release."""
    found = session.control.get(path("releases", release)).json()
    session.out.give(
        found,
        lambda: facts(
            [
                ("release", found["id"]),
                ("model", found["model"]),
                ("version", found["model_version"]),
                ("state", found["state"]),
                ("generation", found["generation"]),
                ("run", found["run"]),
                ("previous", found["previous"]),
                ("made", moment(found["created_at"])),
                ("deployed", moment(found["deployed_at"])),
                ("ended", moment(found["ended_at"])),
                ("reason", found["reason"]),
            ]
        ),
    )


@connected
def rollback(
    session: Session,
    model: Annotated[str, typer.Argument(help="The model to take back.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
) -> None:
    """Make the previous release of a model serve again; the present one never serves again."""
    active = session.control.get(path("models", model, "release"))
    back = session.control.post(
        path("models", model, "rollback"), {"reason": reason}, if_match=active.etag
    ).json()
    session.out.give(
        back, lambda: f"{model} serves {back['model_version']} again (release {back['id']})"
    )
