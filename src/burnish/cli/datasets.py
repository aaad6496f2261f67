"""`burnish dataset`: immutable versions of what models learn from."""

from typing import Annotated

import typer

from burnish.cli.output import facts, moment, table
from burnish.cli.session import Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Dataset versions.")


@app.command("list")
@connected
def list_datasets(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
) -> None:
    """List the dataset versions."""
    answer = session.control.get(path("datasets"), model=model).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("DATASET", lambda d: d["id"]),
                ("MADE", lambda d: moment(d["created_at"])),
                ("CORRECTIONS", lambda d: d["corrections"]),
                ("SPLITS", lambda d: {name: sum(n.values()) for name, n in d["counts"].items()}),
                ("DIGEST", lambda d: d["digest"]),
            ],
            "No datasets yet: the first is built when a trigger fires.",
        ),
    )


@app.command("show")
@connected
def show(
    session: Session, dataset: Annotated[str, typer.Argument(help="As in laundry@3.")]
) -> None:
    """Show a dataset version: counts, origin, what was left out and why."""
    found = session.control.get(path("datasets", dataset)).json()
    session.out.give(
        found,
        lambda: facts(
            [
                ("dataset", found["id"]),
                ("digest", found["digest"]),
                ("made", moment(found["created_at"])),
                ("parent", found["parent"]),
                ("policy", found["policy_digest"]),
                ("corrections", found["corrections"]),
                *((split, labels) for split, labels in found["counts"].items()),
                ("left out", found["left_out"]),
                ("offsets", found["offsets"]),
            ]
        ),
    )
