"""`burnish predict`, `watch` and `audit`: ask the model, and see what happens."""

import mimetypes
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli.output import facts, moment, plain, safe, table
from burnish.cli.session import Session, connected
from burnish.client.api import path

audit_app = typer.Typer(no_args_is_help=True, help="Who changed what, and why.")


@connected
def predict(
    session: Session,
    model: Annotated[str, typer.Argument(help="The model to ask.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images.")],
) -> None:
    """Ask the serving model about images."""
    for file in files:
        try:
            image = file.read_bytes()
        except OSError as error:
            raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        answer = session.serve.post(path("models", model, "predict"), image, content_type=kind)
        found = answer.json()
        if session.out.as_json:
            session.out.line(found)
        else:
            session.out.console.print(
                facts(
                    [
                        ("image", str(file)),
                        ("label", f"{found['label']} ({found['confidence']:.1%})"),
                        ("version", found["model_version"]),
                        ("release", f"{found['release']} (generation {found['generation']})"),
                        ("prediction", found["prediction_id"]),
                    ]
                )
            )


@connected
def watch(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin after this event's id; 0: from the first.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
) -> None:
    """Print events as they happen; Ctrl-C ends it."""
    events = session.control.events(
        model=model,
        after=after,
        reconnecting=lambda broken: session.out.say(f"{broken}; trying again", "dim"),
    )
    with closing(events):
        for number, event in enumerate(events, start=1):
            if session.out.as_json:
                session.out.line(event)
            else:
                session.out.text(_line(event))
            if number == limit:
                return


@audit_app.command("list")
@connected
def list_audit(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
) -> None:
    """List changes: who, what, why."""
    answer = session.control.get(path("audit"), limit=limit).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("ID", lambda row: row["id"]),
                ("AT", lambda row: moment(row["at"])),
                ("ACTOR", lambda row: row["actor"]),
                ("ACTION", lambda row: row["action"]),
                ("SUBJECT", lambda row: row["subject"]),
                ("REASON", lambda row: row["reason"]),
            ],
            "Nothing has been changed yet.",
        ),
    )


def _line(event: Mapping[str, Any]) -> str:
    what = f"{event['type']:<24} {event['model']} {event['subject']}"
    return safe(f"{moment(event['at'])}  {what}  {plain(event['data'])}", keep="")
