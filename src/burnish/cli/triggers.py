"""`burnish trigger`: why a model retrains or does not; pause, resume, ask, and replay the past."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from burnish.cli.models import policy_file
from burnish.cli.output import moment, safe, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Triggers: when models retrain, and why.")

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
WhyOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]
NamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trigger", help="accuracy, urgent, corrections or daily; may be repeated. Default: all."
    ),
]


@app.command("explain")
@connected
def explain(session: Session, model: ModelArgument) -> None:
    """Say in one sentence why a model retrains now, or does not."""
    found = session.control.get(path("models", model, "trigger")).json()
    session.out.give(found, lambda: found["sentence"])


@app.command("list")
@connected
def list_triggers(session: Session) -> None:
    """List where every model stands on its way to the next training."""
    answer = session.control.get(path("triggers")).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("MODEL", lambda t: t["model"]),
                ("STATE", _state),
                ("WHY", lambda t: t["sentence"]),
                ("TURNS", lambda t: moment(t["next_turn"])),
            ],
            "No models yet: `burnish model apply models/NAME.toml`.",
        ),
    )


@app.command("history")
@connected
def history(
    session: Session,
    model: ModelArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
) -> None:
    """List the decisions on a model, newest first, each with its reason."""
    answer = session.control.get(path("models", model, "decisions"), limit=limit).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("FROM", lambda d: moment(d["at"])),
                ("UNTIL", lambda d: moment(d["until"])),
                ("STATE", lambda d: _state({**d, "decision": d, "pending": d["hold"] is not None})),
                ("WHY", lambda d: d["reason"]),
                ("RUN", lambda d: d["run"]),
            ],
            "No decisions yet: the worker makes the first one.",
        ),
    )


@app.command("pause")
@connected
def pause(
    session: Session, model: ModelArgument, reason: WhyOption, trigger: NamesOption = None
) -> None:
    """Keep triggers from firing; they go on to decide, and say that they are paused."""
    _intervene(session, model, "pause", reason, trigger)


@app.command("resume")
@connected
def resume(
    session: Session, model: ModelArgument, reason: WhyOption, trigger: NamesOption = None
) -> None:
    """Let paused triggers fire again."""
    _intervene(session, model, "resume", reason, trigger)


@app.command("run")
@connected
def run(session: Session, model: ModelArgument, reason: WhyOption) -> None:
    """Ask for a run: now, or as soon as the one under way has ended."""
    answer = session.control.post(path("models", model, "trigger", "run"), {"reason": reason})
    decision = answer.json()
    session.out.give(decision, lambda: decision["run"] or f"pending: {decision['reason']}")


@app.command("replay")
@connected
def replay(
    session: Session,
    model: ModelArgument,
    policy: Annotated[
        Path | None,
        typer.Option(help="A policy file; default: each decision under the policy that held."),
    ] = None,
    days: Annotated[float, typer.Option(min=0, help="How far back.")] = 90,
) -> None:
    """Say what a policy would have done, before it is saved.

    Without a policy, checks that the stored decisions follow from what is stored: exit code 1 if
    one does not.
    """
    asked: dict[str, Any] = {"days": days}
    if policy is not None:
        asked["policy"] = policy_file(policy)[1]
    found = session.control.post(path("models", model, "trigger", "replay"), asked).json()
    session.out.give(found, lambda: _travel(found))
    if policy is None and found["same"] != found["decisions"]:
        raise typer.Exit(EXIT_REFUSED)


def _intervene(
    session: Session, model: str, verb: str, reason: str, triggers: list[str] | None
) -> None:
    asked = {"reason": reason, "triggers": triggers or []}
    answer = session.control.post(path("models", model, "trigger", verb), asked).json()
    paused = ", ".join(pause["trigger"] for pause in answer["items"])
    session.out.give(answer, lambda: f"{model}: paused: {paused or 'none'}")


def _state(found: Any) -> str:
    if found["fire"]:
        return "fires"
    return f"pending ({found['decision']['hold']})" if found["pending"] else "waits"


def _travel(found: Any) -> Any:
    if not found["decisions"]:
        return "There is nothing to replay: no decision is stored for these days."
    did, would = found["did"], found["would"]
    same = f"{found['same']} of {found['decisions']} decisions since {moment(found['since'])} come"
    said = f"{same} out the same, word by word; {found['changed']} come to something else."
    fired = f"It would have trained {_times(len(would))}; it did {_times(len(did))}."
    moments = sorted({training["at"] for training in [*did, *would]})
    rows = [{"at": at, "did": _training(did, at), "would": _training(would, at)} for at in moments]
    trainings = table(
        rows,
        [
            ("AT", lambda row: moment(row["at"])),
            ("DID TRAIN", lambda row: row["did"]),
            ("WOULD TRAIN", lambda row: row["would"]),
        ],
        "Nothing was trained, and nothing would have been.",
    )
    return Group(Text(safe(f"{said}\n{fired}\n")), trainings)


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _training(trainings: list[Any], at: str) -> str | None:
    return next((one["reason"] for one in trainings if one["at"] == at), None)
