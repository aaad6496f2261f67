"""`burnish doctor`: is everything well, and if not, what to do."""

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import typer
from msgspec import Struct, to_builtins

from burnish.cli.output import table
from burnish.cli.session import EXIT_REFUSED, EXIT_UNREACHABLE, Session, connected
from burnish.client.api import ApiProblem, Unreachable, path

_PROBE_S: Final = 3.0
_LEAST_FREE_BYTES: Final = 2 * 1024**3  # the spool's high water mark, and as much for the rest
_GIB: Final = 1024**3


class Check(Struct, frozen=True, kw_only=True):
    """One thing looked at."""

    check: str
    state: str  # "ok", "warn", "bad" or "unreachable"
    detail: str
    fix: str = ""


@connected
def doctor(session: Session) -> None:
    """Check every role, the credentials, the disk and the versions; say what to do.

    Exit code 0 if all is well, 1 if something is not, 3 if a role does not answer.
    """
    checks = [*_roles(session), _credentials(session), _disk(session.data), _versions()]
    session.out.give(
        {"checks": to_builtins(checks)},
        lambda: table(
            [to_builtins(check) for check in checks],
            [
                ("", lambda c: c["check"]),
                ("STATE", lambda c: c["state"]),
                ("DETAIL", lambda c: c["detail"]),
                ("WHAT TO DO", lambda c: c["fix"]),
            ],
            "",
        ),
    )
    states = {check.state for check in checks}
    if "unreachable" in states:
        raise typer.Exit(EXIT_UNREACHABLE)
    if "bad" in states:
        raise typer.Exit(EXIT_REFUSED)


def _roles(session: Session) -> Iterator[Check]:
    for name, url in to_builtins(session.endpoints).items():
        client = session.client(url, timeout=_PROBE_S)
        try:
            client.get("/readyz")
        except ApiProblem as problem:
            reasons = problem.document.get("reasons") or [problem.detail]
            yield Check(
                check=name,
                state="bad",
                detail="not ready: " + "; ".join(str(reason) for reason in reasons),
                fix=f"Read {session.data / 'logs' / (name + '.log')}.",
            )
        except Unreachable as error:
            fix = f"`burnish up --data {session.data}` starts every role."
            yield Check(check=name, state="unreachable", detail=str(error), fix=fix)
        else:
            yield Check(check=name, state="ok", detail=f"ready at {url}")


def _credentials(session: Session) -> Check:
    if not session.token:
        fix = "Give --token, or --data with the directory that holds admin.token."
        return Check(check="token", state="bad", detail="no token found", fix=fix)
    try:
        models = session.control.items(path("models"))
    except ApiProblem as problem:
        fix = "Give --token, or --data with the directory of this control plane."
        return Check(check="token", state="bad", detail=str(problem), fix=fix)
    except Unreachable:
        return Check(check="token", state="warn", detail="not tried: control does not answer")
    return Check(check="token", state="ok", detail=f"accepted; {len(models)} models")


def _disk(data: Path) -> Check:
    place = next(parent for parent in (data, *data.parents) if parent.exists())
    usage = shutil.disk_usage(place)
    detail = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.1f} GiB free at {place}"
    if usage.free < _LEAST_FREE_BYTES:
        fix = "Free some space: a full disk makes ingest refuse corrections."
        return Check(check="disk", state="bad", detail=detail, fix=fix)
    return Check(check="disk", state="ok", detail=detail)


def _versions() -> Check:
    parts: dict[str, Any] = {
        "burnish": burnish_version(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "": f"{platform.system()} {platform.machine()}",
    }
    detail = ", ".join(f"{name} {text}".strip() for name, text in parts.items())
    return Check(check="versions", state="ok", detail=detail)


def burnish_version() -> str:
    """Return the installed version, `unknown` when running from a source tree alone."""
    try:
        return version("burnish")
    except PackageNotFoundError:
        return "unknown"
