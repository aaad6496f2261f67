"""`burnish live`: how the releases do in production, by what people say of their answers."""

from typing import Annotated, Any

import typer

from burnish.cli.output import table
from burnish.cli.session import Session, connected
from burnish.client.api import path


@connected
def live(session: Session, model: Annotated[str, typer.Argument(help="The model's name.")]) -> None:
    """Show the live accuracy of a model's releases, and the evidence against each."""
    found = session.control.get(path("models", model, "live")).json()
    session.out.give(found, lambda: _table(found))


def accuracy(release: Any) -> str:
    """Return the live accuracy of a release in words, with what it rests on."""
    if release["accuracy"] is None:
        return f"unknown: none of {release['outcomes']} outcomes was drawn at random"
    interval = f"{release['low']:.3f} to {release['high']:.3f}"
    return f"{release['accuracy']:.3f} ({interval}, {release['sampled']} drawn at random)"


def against(release: Any, line: str) -> str:
    """Return how near a release is to a line, as odds out of those that decide."""
    evidence = release[line]
    if evidence["line"] == 0:
        return "no line"
    odds = max(evidence["sampled"], evidence["reported"])
    crossed = ", crossed" if evidence["crossed"] else ""
    return f"{evidence['line']:g}: {odds:.3g} of {evidence['needed']:g}{crossed}"


def _table(found: Any) -> Any:
    return table(
        found["items"],
        [
            ("VERSION", lambda r: r["model_version"]),
            ("GENERATION", lambda r: r["generation"]),
            ("STATE", lambda r: r["state"]),
            ("ACCURACY", accuracy),
            ("AT MOST", lambda r: r["at_most"]),
            ("OUTCOMES", lambda r: f"{r['outcomes']} of {r['predictions']} ({r['coverage']:.1%})"),
            ("ALERT", lambda r: against(r, "alert")),
            ("ROLLBACK", lambda r: against(r, "rollback")),
        ],
        "Nothing was released yet.",
    )
