"""`burnish model`: policies applied, listed, shown."""

from pathlib import Path
from typing import Annotated, Any

import typer

from burnish.cli.live import accuracy
from burnish.cli.output import facts, moment, table
from burnish.cli.session import Session, connected
from burnish.client.api import ApiProblem, path
from burnish.kernel.policy import ModelPolicy, parse_policy

app = typer.Typer(no_args_is_help=True, help="Models and their policies.")

_MISSING = 404


@app.command("apply")
@connected
def apply(
    session: Session,
    files: Annotated[list[Path], typer.Argument(help="Policy files, models/NAME.toml.")],
) -> None:
    """Make policies count: stored under their digest, effective at once."""
    for file in files:
        policy, text = policy_file(file)
        where = path("models", policy.name)
        revision = _revision(session, where)
        answer = session.control.put(
            where, text.encode(), if_match=revision, content_type="application/toml"
        )
        _tell(session, answer.json(), unchanged=revision is not None and answer.etag == revision)


@app.command("list")
@connected
def list_models(session: Session) -> None:
    """List the models, what serves, and where each is in the loop."""
    answer = session.control.get(path("models")).json()
    session.out.give(
        answer,
        lambda: table(
            answer["items"],
            [
                ("MODEL", lambda m: m["name"]),
                ("KIND", lambda m: m["kind"]),
                ("SERVES", lambda m: (m["active"] or {}).get("model_version")),
                ("SINCE", lambda m: moment((m["active"] or {}).get("deployed_at"))),
                ("CORRECTIONS", _corrections),
                ("RUN", lambda m: (m["run"] or {}).get("state")),
            ],
            "No models yet: `burnish model apply models/NAME.toml`.",
        ),
    )


@app.command("show")
@connected
def show(session: Session, name: Annotated[str, typer.Argument(help="The model's name.")]) -> None:
    """Show a model: its policy, its active release, its last trigger decision."""
    model = session.control.get(path("models", name)).json()

    def render() -> Any:
        releases = session.control.get(path("models", name, "live")).json()["items"]
        return facts(_facts(model, releases[0] if releases else None))

    session.out.give(model, render)


def policy_file(file: Path) -> tuple[ModelPolicy, str]:
    """Return the policy in a file, and its text. A mistake is told as the platform tells it."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error
    return parse_policy(text), text


def _tell(session: Session, model: Any, *, unchanged: bool) -> None:
    state = "is as it was" if unchanged else "applied"
    session.out.give(model, lambda: f"{model['name']} {state}: {model['policy_digest']}")


def _revision(session: Session, where: str) -> str | None:
    """Return the revision of a model that may not exist yet."""
    try:
        return session.control.get(where).etag
    except ApiProblem as problem:
        if problem.status == _MISSING:
            return None
        raise


def _corrections(model: Any) -> str:
    corrections = model["corrections"]
    return f"{corrections['effective']} of {corrections['needed']}"


def _facts(model: Any, serving: Any) -> list[tuple[str, Any]]:
    active, run = model["active"] or {}, model["run"] or {}
    decision = model["last_decision"] or {}
    sections = {key: value for key, value in model["policy"].items() if isinstance(value, dict)}
    return [
        ("name", model["name"]),
        ("kind", model["kind"]),
        ("labels", model["labels"]),
        ("policy", f"{model['policy_digest']} (revision {model['revision']})"),
        ("serves", active.get("model_version")),
        ("release", active.get("release")),
        ("generation", active.get("generation")),
        ("deployed", moment(active.get("deployed_at"))),
        ("live accuracy", accuracy(serving) if serving else None),
        ("corrections", _corrections(model)),
        ("run", f"{run['id']} {run['state']}" if run else None),
        ("decision", decision.get("reason")),
        *((f"[{name}]", values) for name, values in sections.items()),
    ]
