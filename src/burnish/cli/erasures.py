"""`burnish feedback erase`: a person's right to have what was said of them taken out."""

from typing import Annotated, Any

import typer

from burnish.cli.output import facts, moment, table
from burnish.cli.session import Session, connected
from burnish.client.api import ApiProblem, Unreachable, path


@connected
def erase(
    session: Session,
    *,
    subject: Annotated[
        str | None, typer.Option(help="Every record on this subject, of any model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --subject: only of this model.")] = None,
    source: Annotated[str | None, typer.Option(help="With --id: one record.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="With --source: one record.")] = None,
    reason: Annotated[str, typer.Option(help="Why; for the audit log. Name no person in it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it touches only.")] = False,
) -> None:
    """Take records out for good, with their payloads, and list what was made of them.

    Builds leave them out at once; their bytes go from the raw log and the object store soon after
    (`burnish feedback erasures`). Versions and models that exist stay: retrain, or roll back, if
    they must not. For example: `burnish feedback erase --subject task-7 --reason "case 12"`.
    """
    wish = {"subject": subject, "model": model, "source": source, "id": id_, "reason": reason}
    asked = {name: value for name, value in wish.items() if value is not None}
    _seal(session)
    found = session.control.post(path("erasures"), asked | {"dry_run": True}).json()
    if not dry_run:
        if not yes and not session.out.as_json:
            session.out.console.print(_described(found))
            typer.confirm("Erase them for good?", abort=True)
        found = session.control.post(path("erasures"), asked).json()
    session.out.give(found, lambda: _described(found))


@connected
def erasures(
    session: Session,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List the requests to erase, newest first, and whether their bytes are gone."""
    answer = session.control.get(path("erasures"), limit=limit).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("ERASURE", lambda e: e["id"]),
                ("ASKED", lambda e: moment(e["at"])),
                ("BY", lambda e: e["actor"]),
                ("RECORDS", lambda e: e["records"]),
                ("BYTES GONE", lambda e: moment(e["finished_at"])),
                ("DATASETS", lambda e: e["datasets"]),
                ("MODELS", lambda e: e["models"]),
                ("WHY", lambda e: e["reason"]),
            ],
            "Nothing was ever erased.",
        ),
    )


def _seal(session: Session) -> None:
    """Bring what ingest has accepted into the raw log, where it can be found."""
    try:
        session.ingest.post("/v1/seal")
    except (ApiProblem, Unreachable) as error:
        session.out.say(f"What ingest has just accepted is not looked at: {error}", "yellow")


def _described(found: dict[str, Any]) -> Any:
    return facts(
        [
            ("erasure", found["id"] or "nothing is erased yet"),
            ("records", found["records"]),
            ("datasets", found["datasets"] or "none holds them"),
            ("models", found["models"] or "none learnt from them"),
        ]
    )
