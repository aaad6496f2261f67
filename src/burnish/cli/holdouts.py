"""`burnish dataset rotate`, and how worn a holdout is, in words."""

from collections.abc import Mapping
from typing import Any, Final

from burnish.cli.output import moment
from burnish.cli.session import Session, connected
from burnish.cli.triggers import ModelArgument, WhyOption
from burnish.client.api import path

_NEXT: Final = "the next version begins a new epoch, if it brings enough newcomers"


@connected
def rotate(session: Session, model: ModelArgument, reason: WhyOption) -> None:
    """Say that a model's holdout is worn, so that another is drawn from newcomers.

    Use it where a holdout no longer resembles what the model meets, or where somebody has seen it.
    The next version that brings enough newcomers begins a new epoch, and the old holdout trains
    from then on; that cannot be undone. Where it was said before, that is shown. For example:
    `burnish dataset rotate laundry --reason "new camera"`.
    """
    said = session.control.post(path("models", model, "holdout", "rotate"), {"reason": reason})
    rotation = said.json()
    session.out.give(
        rotation, lambda: f"{model}: epoch {rotation['epoch']} is spent, {_who(rotation)}: {_NEXT}"
    )


def looks(holdout: Mapping[str, Any]) -> str:
    """Return how worn a holdout is, and what follows."""
    allowed = holdout["allowed"] or "any number"
    said = f"{holdout['looks']} of {allowed} at {holdout['examples']} examples"
    if not holdout["spent"]:
        return said
    who = f", {_who(holdout['rotation'])}" if holdout["rotation"] else ""
    after = f"replace the records of {holdout['source']}" if holdout["source"] else _NEXT
    return f"{said}; spent{who}: {after}"


def _who(rotation: Mapping[str, Any]) -> str:
    return f"said {rotation['actor']} at {moment(rotation['at'])} ({rotation['reason']})"
