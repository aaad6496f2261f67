"""`burnish feedback quarantine` and `feedback replay`: what was refused, and its second chance."""

import base64
from collections import Counter
from typing import Annotated, Any, Final

import typer

from burnish.cli.output import facts, moment, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Records that were refused; kept, verbatim.")

_GOOD: Final = frozenset({"accepted", "duplicate", "would_accept"})

CodeOption = Annotated[str | None, typer.Option(help="Only refused for this, as unknown_label.")]
ModelOption = Annotated[str | None, typer.Option(help="Only of this model.")]
DayOption = Annotated[str | None, typer.Option(help="Only received on this day, as 2026-05-01.")]


@app.command("list")
@connected
def list_quarantine(
    session: Session,
    *,
    code: CodeOption = None,
    model: ModelOption = None,
    day: DayOption = None,
    status: Annotated[
        str, typer.Option(help="open, accepted (replayed), or moved (refused anew).")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, help="So many entries, the newest.")] = 20,
) -> None:
    """Count what was refused, by reason and model, and list the newest entries.

    For example: `burnish feedback quarantine list --code unknown_label --day 2026-05-01`.
    With --json: one value, with counts and items.
    """
    asked = {"code": code, "model": model, "day": day}
    counts = session.control.items(path("quarantine", "counts"), **asked)
    items: list[dict[str, Any]] = []
    after: str | None = None
    while len(items) < limit:
        page = session.control.get(
            path("quarantine"),
            **asked,
            status=status,
            after=after,
            limit=min(limit - len(items), 1000),
        ).json()
        items += page["items"]
        after = page["next"]
        if after is None:
            break
    if session.out.as_json:
        session.out.line({"counts": counts, "items": items, "next": after})
        return
    narrowed = any(value is not None for value in asked.values())
    empty = "Nothing in the quarantine matches." if narrowed else "The quarantine is empty."
    session.out.console.print(_counts(counts, empty))
    if items:
        session.out.console.print()
        session.out.console.print(_entries(items))
        if after is not None:
            session.out.say(f"more beyond these {limit}: --limit", "dim")


@app.command("show")
@connected
def show(
    session: Session, entry: Annotated[str, typer.Argument(help="As the list names it.")]
) -> None:
    """Show a refused record, verbatim, and why it was refused."""
    found = session.control.get(path("quarantine", entry)).json()
    if session.out.as_json:
        session.out.line(found)
        return
    first = [("at first for", found["first_code"]), ("why then", found["first_detail"])]
    encoding = found["content_encoding"]
    session.out.console.print(
        facts(
            [
                ("entry", found["id"]),
                ("refused for", found["code"]),
                ("why", found["detail"]),
                *(first if found["replays"] else []),
                ("received", moment(found["received_at"])),
                ("state", found["state"]),
                ("replays", found["replays"]),
                ("content type", found["content_type"]),
                *([("content encoding", encoding)] if encoding else []),
                *((f"ce-{name}", value) for name, value in found["ce"].items()),
                ("object", f"{found['key']}, line {found['line']}"),
            ]
        )
    )
    body = found["body"]
    session.out.text(
        base64.b64decode(found["body_b64"]).decode(errors="replace") if body is None else body
    )


@connected
def replay(
    session: Session,
    *,
    entries: Annotated[
        list[str] | None, typer.Argument(metavar="ENTRY...", help="As the list names them.")
    ] = None,
    reason: Annotated[str, typer.Option(help="What was mended; for the audit log.")],
    code: CodeOption = None,
    model: ModelOption = None,
    day: DayOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open entry.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, but send nothing.")] = False,
) -> None:
    """Offer refused records to ingest again, after their cause is mended. Repeating it is harmless.

    For example, once the label is in the policy:
    `burnish feedback replay --code unknown_label --reason "ugly is a label now" --dry-run`.
    A dry run cannot tell what ingest alone knows: conflicts, predictions, the records of a batch.
    Exit code 1 if any record is still refused, there is no such entry, or ingest stopped taking
    them.
    """
    if not (entries or code or model or day or everything):
        raise typer.BadParameter("say which: entries, --code, --model, --day, or --all")
    asked = {"code": code, "model": model, "day": day, "ids": entries or None}
    counts: Counter[str] = Counter()
    results: list[dict[str, Any]] = []
    stopped: str | None = None
    after: str | None = None
    with session.out.errors.status("replaying") as status:
        while True:
            done = session.control.post(
                path("quarantine", "replay"),
                {**asked, "reason": reason, "dry_run": dry_run, "after": after},
                idempotent=True,
            ).json()
            counts.update(done["counts"])
            results += done["results"]
            after, stopped = done["next"], done["stopped"]
            status.update(f"{len(results)} replayed, {done['remaining']} to go")
            if after is None or stopped is not None:
                break
    if session.out.as_json:
        session.out.line({"counts": dict(counts), "results": results, "stopped": stopped})
    else:
        _report(session, results, counts)
    if stopped is not None:
        session.out.say(f"stopped early: {stopped} Run it again to go on.", "red")
    if stopped is not None or set(counts) - _GOOD:
        raise typer.Exit(EXIT_REFUSED)


def _report(session: Session, results: list[dict[str, Any]], counts: Counter[str]) -> None:
    refused = [one for one in results if one["code"] not in _GOOD]
    if refused:
        session.out.console.print(
            table(
                refused,
                [
                    ("ENTRY", lambda r: r["id"]),
                    ("CODE", lambda r: r["code"]),
                    ("WHY", lambda r: r["detail"]),
                ],
                "",
            )
        )
    words = ", ".join(f"{number} {code}" for code, number in sorted(counts.items()))
    session.out.text(words or "There is nothing to replay.")


def _counts(counts: list[dict[str, Any]], empty: str) -> Any:
    return table(
        counts,
        [
            ("REASON", lambda c: c["code"]),
            ("MODEL", lambda c: c["model"]),
            ("STATE", lambda c: c["state"]),
            ("RECORDS", lambda c: c["entries"]),
            ("OLDEST", lambda c: moment(c["oldest"])),
            ("NEWEST", lambda c: moment(c["newest"])),
        ],
        empty,
    )


def _entries(items: list[dict[str, Any]]) -> Any:
    return table(
        items,
        [
            ("ENTRY", lambda e: e["id"]),
            ("RECEIVED", lambda e: moment(e["received_at"])),
            ("REASON", lambda e: e["code"]),
            ("MODEL", lambda e: e["model"]),
            ("SOURCE", lambda e: e["source"]),
            ("ID", lambda e: e["record_id"]),
            ("WHY", lambda e: e["detail"]),
        ],
        "",
    )
