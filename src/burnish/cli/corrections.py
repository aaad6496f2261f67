"""`burnish feedback tail` and `feedback journey`: corrections as they come, and where they went."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from burnish.cli.output import facts, moment, plain, safe, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import Unreachable, path

_POLL_S: Final = 1.0
_WIDTHS: Final = (20, 14, 28, 22, 14)  # of the columns of `tail`
_HEAD: Final = ("RECEIVED", "MODEL", "SUBJECT", "VERDICT", "BY")


@connected
def tail(
    session: Session,
    *,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Begin with so many.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on as more come.")
    ] = True,
) -> None:
    """Follow accepted corrections as they reach the raw log, until Ctrl-C.

    A record reaches it at most `ingest.seal_seconds` after it was accepted. For example:
    `burnish feedback tail --model laundry -n 50`. With --json, one record a line.
    """
    if not session.out.as_json:
        session.out.text(_row(_HEAD))
    for one in _stream(session, model, lines, follow=follow):
        if session.out.as_json:
            session.out.line(one)
        else:
            session.out.text(_row(_cells(one)))


@connected
def journey(
    session: Session,
    record: Annotated[str, typer.Argument(metavar="ID", help="The record's id.")],
    *,
    source: Annotated[str, typer.Option(help="Where the record came from.")] = "burnish-cli",
) -> None:
    """Show what became of one correction: in which datasets, or why in none; in which models.

    For example: `burnish feedback journey 0192… --source laundry-app`. Exit code 1 if there is no
    such record, or it is in quarantine.
    """
    found = session.control.get(path("feedback", record, "journey"), source=source).json()
    session.out.give(found, lambda: facts(list(_steps(found))))
    if not session.out.as_json and found["quarantined"]:
        session.out.console.print(
            table(
                found["quarantined"],
                [
                    ("REFUSED", lambda e: moment(e["received_at"])),
                    ("REASON", lambda e: e["code"]),
                    ("STATE", lambda e: e["state"]),
                    ("ENTRY", lambda e: e["id"]),
                    ("WHY", lambda e: e["detail"]),
                ],
                "",
            )
        )
    if found["stage"] == "quarantined":
        raise typer.Exit(EXIT_REFUSED)


def _stream(
    session: Session, model: str | None, lines: int, *, follow: bool
) -> Iterator[dict[str, Any]]:
    page = session.control.get(path("corrections"), model=model, limit=lines).json()
    yield from page["items"]
    while follow:
        try:
            page = session.control.get(
                path("corrections"), model=model, after=page["next"], limit=1000
            ).json()
        except Unreachable as broken:
            session.out.say(f"{broken}; trying again", "dim")
            page = {"items": [], "next": page["next"]}
        yield from page["items"]
        if not page["items"]:
            time.sleep(_POLL_S)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    verdict = (
        f"{plain(one['predicted'])} → {one['final']}" if one["corrected"] else f"{one['final']} ✓"
    )
    return (
        moment(one["received_at"]),
        plain(one["model"]),
        plain(one["subject_id"]),
        verdict,
        plain(one["actor"]),
    )


def _row(cells: tuple[str, ...]) -> str:
    return "  ".join(
        f"{safe(cell, keep=''):<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)
    ).rstrip()


def _steps(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what happened so far, one step a line."""
    yield "record", f"{found['id']} of {found['source']}"
    received = found["received"]
    if found.get("erased"):
        yield "erased", f"{moment(found['erased']['at'])}, by request {found['erased']['erasure']}"
        return
    if received is None:
        yield "quarantined", "it was not accepted; see below"
        return
    if received["final"] is not None:
        yield "verdict", f"{received['model']} {received['subject']}: {received['final']}"
    yield "received", moment(received["at"]) if received["at"] else "yes, and it is durable"
    place = f"shard {received['shard']}, offset {received['offset']}"
    yield "persisted", place if received["persisted"] else f"not yet; {place} is its place"
    for one in found["datasets"]:
        made = f"left out: {one['reason']}" if one["reason"] else f"in split {plain(one['split'])}"
        yield one["dataset"], made
    for one in found.get("models", ()):
        released = f"; release {plain(one['releases'])}" if one["releases"] else ""
        made = f"{one['split']} of {one['dataset']}{released}"
        yield f"model {one['model_version']}", made
    if received["persisted"] and not found["datasets"]:
        yield "dataset", "none yet; the next build reads it"
