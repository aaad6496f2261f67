"""A run watched from the command line: a line for each change, until it ends or rests."""

import time
from collections.abc import Iterator
from typing import Any, Final

from burnish.cli.output import plain
from burnish.cli.session import Session
from burnish.client.api import Unreachable, path

ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "REJECTED", "CANCELLED", "SUPERSEDED"})
RESTS: Final = frozenset({"AWAITING_APPROVAL", "HELD"})  # until a person or more data comes
_POLL_S: Final = 0.5
_PATIENCE_S: Final = 30.0  # a control plane that restarts is back within it


def follow_run(session: Session, run_id: str) -> dict[str, Any]:
    """Print each change of a run and of its training job until it ends or rests; return it.

    A control plane that restarts meanwhile is waited for. Raises ApiProblem if there is no such
    run, Unreachable if control stays away for longer than half a minute.
    """
    said: set[str] = set()
    with session.out.errors.status(f"run {run_id}") as status:
        while True:
            run = _read(session, path("runs", run_id), say=status.update)
            job = _read(session, path("jobs", run["job"])) if run["job"] else None
            news = [line for line in _lines(run, job) if line not in said]
            said.update(news)
            if session.out.as_json:
                if news:
                    session.out.line(run)
            else:
                for line in news:
                    session.out.text(line)
            status.update(_now(run, job))
            if run["state"] in ENDED | RESTS:
                return run
            time.sleep(_POLL_S)


def _read(session: Session, where: str, say: Any = lambda _text: None) -> dict[str, Any]:
    began = time.monotonic()
    while True:
        try:
            return dict(session.control.get(where).json())
        except Unreachable:
            if time.monotonic() - began > _PATIENCE_S:
                raise
            say("control does not answer; trying again")
            time.sleep(_POLL_S)


def _lines(run: dict[str, Any], job: dict[str, Any] | None) -> Iterator[str]:
    """Yield everything that there is to say so far, in order; each sentence once and for all."""
    yield f"{run['model']}  run {run['id']}: {plain(run['cause'].get('reason'))}"
    for step in run["steps"]:
        detail = f"  {plain(step['detail'])}" if step["detail"] and step["ended_at"] else ""
        yield f"  {step['step']:<12} {step['state']}{detail}"
    if job and job["attempt"] > 1:
        yield f"  attempt {job['attempt']} of {job['max_attempts']}: {plain(job['failure'])}"
    if run["state"] == "AWAITING_APPROVAL":
        yield f"  waits for a person: burnish run approve {run['id']}"
    if run["state"] == "HELD":
        yield "  is held: the evidence decides neither way yet; more labels will"
    if run["state"] in ENDED:
        why = f"  {plain(run['failure'])}" if run["failure"] else ""
        yield f"{run['state']}  {plain(run['candidate'])}{why}"


def _now(run: dict[str, Any], job: dict[str, Any] | None) -> str:
    progress = f" {job['progress']:.0%}" if job and run["state"] == "TRAINING" else ""
    return f"{run['state']}{progress}"
