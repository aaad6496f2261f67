"""`burnish run`: one execution of the loop, started, watched, decided."""

from typing import Annotated, Any, Final

import typer

from burnish.cli.follow import RESTS, follow_run
from burnish.cli.output import facts, moment, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Pipeline runs.")

_SUCCEEDED: Final = "SUCCEEDED"
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
WhyOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]


@app.command("list")
@connected
def list_runs(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
) -> None:
    """List runs, newest first."""
    answer = session.control.get(path("runs"), model=model, limit=limit).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("RUN", lambda r: r["id"]),
                ("MODEL", lambda r: r["model"]),
                ("STATE", lambda r: r["state"]),
                ("BEGAN", lambda r: moment(r["created_at"])),
                ("DATASET", lambda r: r["dataset"]),
                ("CANDIDATE", lambda r: r["candidate"]),
                ("CAUSE", lambda r: r["cause"]["reason"]),
            ],
            "No runs yet: `burnish run start MODEL --reason …` begins one.",
        ),
    )


@app.command("show")
@connected
def show(session: Session, run: RunArgument) -> None:
    """Show a run: its steps, its cause, what came of it."""
    found = session.control.get(path("runs", run)).json()
    session.out.give(found, lambda: facts(_facts(found)))


@app.command("follow")
@connected
def follow(session: Session, run: RunArgument) -> None:
    """Watch a run until it ends or waits for a person. Exit code 1 if it fails or is stopped."""
    _follow(session, run)


@app.command("start")
@connected
def start(
    session: Session,
    model: Annotated[str, typer.Argument(help="The model to train.")],
    reason: WhyOption,
    *,
    watch: Annotated[
        bool, typer.Option("--follow", help="Watch it until it ends or waits for a person.")
    ] = False,
) -> None:
    """Start a run now, whatever the trigger policy says."""
    run = session.control.post(path("models", model, "runs"), {"reason": reason}).json()
    if watch:
        _follow(session, run["id"])
    else:
        session.out.give(run, lambda: f"{run['id']} {run['state']}")


@app.command("approve")
@connected
def approve(session: Session, run: RunArgument, reason: WhyOption = "") -> None:
    """Let a candidate that passed its gates into production."""
    _decide(session, run, "approve", reason)


@app.command("reject")
@connected
def reject(session: Session, run: RunArgument, reason: WhyOption) -> None:
    """Keep a candidate out of production."""
    _decide(session, run, "reject", reason)


@app.command("override")
@connected
def override(
    session: Session,
    run: RunArgument,
    reason: WhyOption,
    *,
    watch: Annotated[bool, typer.Option("--follow", help="Watch it until it ends.")] = False,
) -> None:
    """Take a candidate to production in spite of its gates, by a new run."""
    started = _ask(session, run, "override", reason)
    if watch:
        _follow(session, started["id"])
    else:
        session.out.give(started, lambda: f"{started['id']} {started['state']}")


@app.command("cancel")
@connected
def cancel(session: Session, run: RunArgument, reason: WhyOption) -> None:
    """Stop a run; the serving model stays as it is."""
    _decide(session, run, "cancel", reason)


def _decide(session: Session, run: str, verb: str, reason: str) -> None:
    changed = _ask(session, run, verb, reason)
    session.out.give(changed, lambda: f"{changed['id']} {changed['state']}")


def _ask(session: Session, run: str, verb: str, reason: str) -> Any:
    """Act on the run as it is now; whoever acts in between makes this one fail, not count twice."""
    revision = session.control.get(path("runs", run)).etag
    return session.control.post(
        path("runs", run, verb), {"reason": reason}, if_match=revision
    ).json()


def _follow(session: Session, run: str) -> None:
    if follow_run(session, run)["state"] not in {_SUCCEEDED, *RESTS}:
        raise typer.Exit(EXIT_REFUSED)


def _facts(run: Any) -> list[tuple[str, Any]]:
    return [
        ("run", run["id"]),
        ("model", run["model"]),
        ("state", run["state"]),
        ("cause", f"{run['cause']['rule']}: {run['cause']['reason']}"),
        ("began", moment(run["created_at"])),
        ("ended", moment(run["ended_at"])),
        ("dataset", run["dataset"]),
        ("job", run["job"]),
        ("candidate", run["candidate"]),
        ("evaluation", run["evaluation"]),
        ("release", run["release"]),
        ("failed step", run["failed_step"]),
        ("failure", run["failure"]),
        ("trace", run["trace_id"]),
        *((f"  {step['step']}", f"{step['state']}  {_took(step)}") for step in run["steps"]),
    ]


def _took(step: Any) -> str:
    return f"{moment(step['started_at'])} → {moment(step['ended_at'])}"
