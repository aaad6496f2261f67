"""`burnish dataset`: immutable versions of what models learn from."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from burnish.cli import exports, holdouts
from burnish.cli.output import facts, moment, plain, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Dataset versions.")
app.command("export")(exports.export)
app.command("verify")(exports.verify)
app.command("rotate")(holdouts.rotate)

_PAGE: Final = 1000  # records asked for at once
_SOURCE: Final = "burnish-cli"
_SQL_SHARDS: Final = "sql."  # how the shards of the raw log begin that hold the rows of databases

DatasetArgument = Annotated[str, typer.Argument(help="As in laundry@3.")]
ModelArgument = Annotated[str, typer.Argument(help="The model's name.")]


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
                ("EPOCH", lambda d: f"{d['epoch']}{' (spent)' * d['spent']}"),
                ("DIGEST", lambda d: d["digest"]),
            ],
            "No datasets yet: the first is built when a trigger fires.",
        ),
    )


@app.command("show")
@connected
def show(session: Session, dataset: DatasetArgument) -> None:
    """Show a dataset version: counts, what was left out and why, its holdout, models made of it."""
    found = session.control.get(path("datasets", dataset)).json()
    found["sources"] = _sources(session, found)
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
                ("offsets", found["offsets"]),
                *((f"source {one['name']}", _read(one)) for one in found["sources"]),
                ("epoch", found["holdout"]["epoch"]),
                ("looks", holdouts.looks(found["holdout"])),
                ("models", found["models"]),
            ]
        ),
    )
    if not session.out.as_json and found["left_out"]:
        session.out.console.print(
            table(
                [{"reason": name, "count": n} for name, n in found["left_out"].items()],
                [
                    ("LEFT OUT", lambda r: r["count"]),
                    ("REASON", lambda r: r["reason"]),
                    ("WHAT TO DO", lambda r: found["advice"].get(r["reason"])),
                ],
                "",
            )
        )


@app.command("diff")
@connected
def diff(
    session: Session,
    dataset: DatasetArgument,
    base: Annotated[
        str | None, typer.Argument(help="The older version; its parent if left out.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Changes shown one by one.")] = 20,
) -> None:
    """Show what a version has that an older one has not, and why.

    For example: `burnish dataset diff laundry@3`, or `burnish dataset diff laundry@3 laundry@1`.
    """
    found = session.control.get(path("datasets", dataset, "diff"), base=base, limit=limit).json()
    session.out.give(found, lambda: facts(list(_difference(found))))
    if not session.out.as_json and found["changes"]:
        session.out.console.print(
            table(
                found["changes"],
                [
                    ("CHANGE", lambda c: c["kind"]),
                    ("SUBJECT", lambda c: c["subject"]),
                    ("SPLIT", lambda c: c["split"]),
                    ("FROM", lambda c: c["before"]),
                    ("TO", lambda c: c["after"]),
                    ("WHY", lambda c: c["reason"]),
                ],
                "",
            )
        )
        if found["cut"]:
            session.out.say("There are more: --limit shows up to 1000.", "dim")


@app.command("records")
@connected
def records(
    session: Session,
    dataset: DatasetArgument,
    *,
    split: Annotated[str | None, typer.Option(help="train, validation or holdout.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why it was left out, such as contradiction.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
) -> None:
    """List the records that a version was built from: their split, or why they are in none.

    For example: `burnish dataset records laundry@3 --reason actor_share`. With --json, one a line.
    """
    found = _records(session, dataset, split, reason, limit)
    if session.out.as_json:
        for one in found:
            session.out.line(one)
        return
    session.out.console.print(
        table(
            found,
            [
                ("SUBJECT", lambda f: f.get("subject")),
                ("SPLIT", lambda f: f.get("split")),
                ("LEFT OUT", lambda f: f.get("reason")),
                ("CORRECTED", lambda f: f.get("corrected", False)),
                ("SOURCE", lambda f: f["source"]),
                ("ID", lambda f: f["id"]),
                ("PLACE", lambda f: f"{f['shard']}:{f['offset']}"),
            ],
            "No record is like this.",
        )
    )


@app.command("contradictions")
@connected
def contradictions(
    session: Session,
    model: ModelArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
) -> None:
    """List what people disagree on, and who said what. It trains nobody until it is settled.

    It is settled when they agree, or when a reviewer, whom the policy names in `dataset.reviewers`,
    has spoken last: see `burnish dataset settle`.
    """
    desk = session.control.get(path("models", model, "contradictions"), limit=limit).json()
    session.out.give(
        desk,
        lambda: table(
            desk["items"],
            [
                ("SUBJECT", lambda c: ", ".join(c["subjects"])),
                ("WHO SAID WHAT", lambda c: "; ".join(map(_word, c["words"]))),
            ],
            "Nobody disagrees.",
        ),
    )
    if not session.out.as_json and desk["items"]:
        who = ", ".join(desk["reviewers"])
        session.out.say(
            f"A later verdict of {who} settles one: `burnish dataset settle {model} SUBJECT LABEL`."
            if who
            else "No reviewer is named: add `reviewers` to [dataset] in the policy.",
            "dim",
        )


@app.command("settle")
@connected
def settle(
    session: Session,
    model: ModelArgument,
    subject: Annotated[str, typer.Argument(help="As the list of contradictions names it.")],
    label: Annotated[str, typer.Argument(help="What it is.")],
    *,
    actor: Annotated[str | None, typer.Option(help="The reviewer; you if left out.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
) -> None:
    """Settle a contradiction, as a reviewer whom the policy names: sends a verdict that counts.

    For example: `burnish dataset settle laundry task-7 defect --actor ann`.
    """
    desk = session.control.get(path("models", model, "contradictions"), limit=_PAGE).json()
    who = actor or session.surroundings.user()
    if who not in desk["reviewers"]:
        named = ", ".join(desk["reviewers"]) or "nobody"
        raise typer.BadParameter(
            f"{who!r} is no reviewer of {model}: `dataset.reviewers` in its policy names {named}"
        )
    found = next((one for one in desk["items"] if subject in one["subjects"]), None)
    if found is None:
        session.out.say(f"Nobody disagrees on {subject} now.", "yellow")
        raise typer.Exit(EXIT_REFUSED)
    record = {
        "id": session.surroundings.new_id(),
        "source": _SOURCE,
        "model": model,
        "subject_id": subject,
        "final": label,
        "corrected": True,
        "actor": who,
        "occurred_at": session.surroundings.now().isoformat(),
        "schema_version": 1,
    }
    if found["payload_sha256"] is not None:
        record["payload"] = f"burnish:{found['payload_sha256']}"
    if reason is not None:
        record["reason"] = reason
    answer = session.ingest.post("/v1/feedback", record).json()
    session.out.give(answer, lambda: f"{subject} is {label}, says {who}: {record['id']}")


def _records(
    session: Session, dataset: str, split: str | None, reason: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while limit > 0:
        page = session.control.get(
            path("datasets", dataset, "records"),
            split=split,
            reason=reason,
            after=after,
            limit=min(limit, _PAGE),
        ).json()
        yield from page["items"]
        limit -= len(page["items"])
        after = page["next"]
        if after is None:
            return


def _sources(session: Session, dataset: Mapping[str, Any]) -> list[Any]:
    """Return the SQL sources of a version, as its manifest names them."""
    if not any(shard.startswith(_SQL_SHARDS) for shard in dataset["offsets"]):
        return []
    manifest = session.control.get(path("datasets", dataset["id"], "manifest")).json()
    return [one for one in manifest["sources"] if one["kind"] == "sql"]


def _read(source: Mapping[str, Any]) -> str:
    """Return how far an SQL source is in a version."""
    rows = f"{source['records']} row{'s' * (source['records'] != 1)}"
    return f"{rows}, up to {source['watermark']} (key {source['key']})"


def _difference(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "from", found["base"]
    yield "to", found["dataset"]
    yield "unchanged", found["unchanged"]
    for kind, count in found["counts"].items():
        why = found["reasons"][kind]
        yield kind, f"{count} ({plain(why)})" if why else count


def _word(word: Mapping[str, Any]) -> str:
    return f"{word['actor'] or 'somebody'}: {word['final']} ({moment(word['occurred_at'])})"
