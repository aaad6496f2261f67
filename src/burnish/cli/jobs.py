"""`burnish job`: training jobs and their attempts."""

from typing import Annotated

import typer

from burnish.cli.output import facts, moment, safe, table
from burnish.cli.session import Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Training jobs.")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@app.command("list")
@connected
def list_jobs(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
) -> None:
    """List training jobs."""
    answer = session.control.get(path("jobs"), model=model).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("JOB", lambda j: j["id"]),
                ("MODEL", lambda j: j["model"]),
                ("STATE", lambda j: j["state"]),
                ("ATTEMPT", lambda j: f"{j['attempt']} of {j['max_attempts']}"),
                ("PROGRESS", lambda j: f"{j['progress']:.0%}"),
                ("QUEUED", lambda j: moment(j["queued_at"])),
                ("DATASET", lambda j: j["dataset"]),
            ],
            "No jobs yet: a run starts one when its dataset is ready.",
        ),
    )


@app.command("show")
@connected
def show(session: Session, job: JobArgument) -> None:
    """Show a job: its state, progress, metrics, artifacts."""
    found = session.control.get(path("jobs", job)).json()
    session.out.give(
        found,
        lambda: facts(
            [
                ("job", found["id"]),
                ("run", found["run"]),
                ("model", found["model"]),
                ("dataset", found["dataset"]),
                ("trainer", found["trainer"]),
                ("state", found["state"]),
                ("attempt", f"{found['attempt']} of {found['max_attempts']}"),
                ("progress", f"{found['progress']:.0%}"),
                ("metrics", found["metrics"]),
                ("artifacts", found["artifacts"]),
                ("failure", found["failure"]),
                ("queued", moment(found["queued_at"])),
                ("started", moment(found["started_at"])),
                ("heartbeat", moment(found["heartbeat_at"])),
                ("completed", moment(found["completed_at"])),
                ("trace", found["trace_id"]),
            ]
        ),
    )


@app.command("cancel")
@connected
def cancel(
    session: Session,
    job: JobArgument,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
) -> None:
    """Stop a training job."""
    changed = session.control.post(path("jobs", job, "cancel"), {"reason": reason}).json()
    session.out.give(changed, lambda: f"{changed['id']} {changed['state']}")


@app.command("log")
@connected
def log(session: Session, job: JobArgument) -> None:
    """Print what the trainer wrote."""
    text = session.control.get(path("jobs", job, "log")).body.decode(errors="replace")
    if session.out.as_json:
        session.out.line({"job": job, "log": text})
    else:
        session.out.console.out(safe(text), end="", highlight=False)
