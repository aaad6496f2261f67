"""`burnish dataset export` and `verify`: a version as a folder, and the proof that it is whole."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from burnish.cli.output import plain, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import path

_REBUILD_S: Final = 3600.0  # a build from the raw log may say nothing for so long
_PREFIX: Final = "sha256:"

DatasetArgument = Annotated[str, typer.Argument(help="As in laundry@3.")]


@connected
def export(
    session: Session,
    dataset: DatasetArgument,
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; made if need be.")],
    *,
    with_holdout: Annotated[
        bool, typer.Option("--with-holdout", help="Also what judges models and must not train.")
    ] = False,
) -> None:
    """Write a version into a folder: rows, payloads, manifest, and a Croissant description.

    Tools that know MLCommons Croissant load it by its croissant.json. An export that was cut short
    goes on where it stopped. For example: `burnish dataset export laundry@3 ./laundry-3`.
    """
    holdout = "true" if with_holdout else "false"
    files = {
        "manifest.json": session.control.get(path("datasets", dataset, "manifest")).body,
        "rows.json": session.control.get(path("datasets", dataset, "rows"), holdout=holdout).body,
        "croissant.json": session.control.get(
            path("datasets", dataset, "croissant"), holdout=holdout
        ).body,
    }
    rows: list[dict[str, Any]] = json.loads(files["rows.json"])
    payloads = to / "payloads"
    try:
        payloads.mkdir(parents=True, exist_ok=True)
        with _progress(session) as progress:
            for row in progress.track(rows, description="payloads"):
                _fetch(session, row["payload_sha256"], payloads / row["payload"])
        for name, data in files.items():  # last: a folder that has them is whole
            (to / name).write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"{to} cannot be written: {error}") from error
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["split"]] = counts.get(row["split"], 0) + 1
    answer = {"dataset": dataset, "folder": str(to), "examples": counts}
    session.out.give(answer, lambda: f"{dataset} is in {to}: {plain(counts)}")
    if not with_holdout:
        session.out.say("The holdout stays here; --with-holdout takes it along.", "dim")


@connected
def verify(
    session: Session,
    dataset: DatasetArgument,
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also build it again from the raw log.")
    ] = False,
) -> None:
    """Prove that a version is whole: every file and payload is read against its digest.

    With --rebuild, its digest is also made anew from the raw log. What was erased is told, and is
    no fault. Exit code 1 if anything is not as it should be.
    """
    found: list[dict[str, Any]] = []
    first: int | None = 0
    payloads = 0
    with _progress(session) as progress:
        bar = progress.add_task("payloads", total=None)
        while first is not None:
            part = session.control.get(path("datasets", dataset, "proof"), first=first).json()
            found += part["findings"]
            first, payloads = part["next"], part["payloads"]
            progress.update(bar, total=payloads, completed=part["checked"])
    answer: dict[str, Any] = {"dataset": dataset, "payloads": payloads, "findings": found}
    good = all(one["erased"] for one in found)
    if rebuild:
        with session.out.errors.status("building it again from the raw log"):
            control = session.client(session.endpoints.control, timeout=_REBUILD_S)
            answer["rebuilt"] = control.get(path("datasets", dataset, "rebuilt")).json()
        good = good and (answer["rebuilt"]["same"] or answer["rebuilt"]["erased"])
    answer["whole"] = good
    session.out.give(answer, lambda: _verdict(answer))
    if not session.out.as_json and found:
        session.out.console.print(
            table(
                found,
                [
                    ("WHAT", lambda f: f["what"]),
                    ("WHICH", lambda f: f["key"]),
                    ("WHY", lambda f: f["detail"]),
                ],
                "",
            )
        )
    if not good:
        raise typer.Exit(EXIT_REFUSED)


def _fetch(session: Session, sha256: str, file: Path) -> None:
    """Write one payload, whole or not at all. Raises OSError, also if its bytes are not its own."""
    if file.exists() and _PREFIX + hashlib.sha256(file.read_bytes()).hexdigest() == sha256:
        return
    data = session.control.get(path("payloads", sha256)).body
    if _PREFIX + hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(f"{sha256} came with other bytes: run `burnish dataset verify`")
    part = file.with_suffix(".part")
    part.write_bytes(data)
    part.replace(file)


def _progress(session: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=session.out.errors,
        transient=True,
        disable=session.out.as_json,
    )


def _verdict(answer: dict[str, Any]) -> str:
    erased = sum(one["erased"] for one in answer["findings"])
    faults = len(answer["findings"]) - erased
    words = [f"{answer['dataset']}: {answer['payloads']} payloads read"]
    words.append(f"{faults} faults" if faults else "all files as their digests say")
    if erased:
        words.append(f"{erased} payloads erased")
    rebuilt = answer.get("rebuilt")
    if rebuilt is not None:
        words.append(
            "the raw log gives the same digest"
            if rebuilt["same"]
            else "records were erased since: the raw log gives another digest"
            if rebuilt["erased"]
            else f"the raw log gives another digest, {rebuilt['digest']}"
        )
    return "; ".join(words)
