"""`burnish feedback send`: corrections from a file, a pipe, or the options of one command."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from burnish.cli import corrections, erasures, quarantine
from burnish.cli.output import Column, table
from burnish.cli.session import EXIT_REFUSED, Session, connected
from burnish.client.api import ApiProblem

app = typer.Typer(no_args_is_help=True, help="Corrections.")
app.add_typer(quarantine.app, name="quarantine")
app.command("replay")(quarantine.replay)
app.command("tail")(corrections.tail)
app.command("journey")(corrections.journey)
app.command("erase")(erasures.erase)
app.command("erasures")(erasures.erasures)

_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 4 * 1024**2  # far below what ingest takes at once
_TOO_MANY: Final = 429
_SHORTEST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 60.0
_FIRST_ERROR: Final = 400
_STDIN: Final = Path("-")
_SOURCE: Final = "burnish-cli"  # of records made of options

Batch = list[tuple[int, bytes]]  # line numbers, from 1, and lines


@app.command("send")
@connected
def send(  # its parameters are the fields of a record
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(help="Records, one JSON object a line; - reads the pipe.")
    ] = None,
    *,
    model: Annotated[str | None, typer.Option(help="The model that was judged.")] = None,
    subject: Annotated[str | None, typer.Option(help="Your id of the thing judged.")] = None,
    final: Annotated[str | None, typer.Option(help="What it is, as the person says.")] = None,
    predicted: Annotated[str | None, typer.Option(help="What the model had said.")] = None,
    prediction_id: Annotated[str | None, typer.Option(help="As serving returned it.")] = None,
    payload: Annotated[str | None, typer.Option(help="URI of the input.")] = None,
    photo: Annotated[Path | None, typer.Option(help="The input itself; it is uploaded.")] = None,
    selection: Annotated[str | None, typer.Option(help="uncertainty or random.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who decided; you if left out.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
    reason_code: Annotated[str | None, typer.Option(help="Why, as a short code of yours.")] = None,
    source: Annotated[
        str | None, typer.Option(help=f"Where the record comes from; {_SOURCE} if left out.")
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="The record's id; made anew if left out.")
    ] = None,
    occurred_at: Annotated[
        str | None, typer.Option(help="RFC 3339; now if left out. Give it with --id to send twice.")
    ] = None,
) -> None:
    """Send corrections: a file of them, or one by options. Exit code 1 if any is refused.

    Sending the same record twice does no harm: source and id identify it. By options it is the same
    only with the same --id and --occurred-at; another record of that id is refused. For example:
    `burnish feedback send --model laundry --subject task-7 --predicted good --final defect
    --photo task-7.jpg`, or `burnish feedback send corrections.ndjson`.
    """
    options = {
        "--model": model,
        "--subject": subject,
        "--final": final,
        "--predicted": predicted,
        "--prediction-id": prediction_id,
        "--payload": payload,
        "--photo": photo,
        "--selection": selection,
        "--actor": actor,
        "--reason": reason,
        "--reason-code": reason_code,
        "--source": source,
        "--id": id_,
        "--occurred-at": occurred_at,
    }
    named = ", ".join(name for name, value in options.items() if value is not None)
    if file is not None:
        if named:
            raise typer.BadParameter(f"leave out {named}, or FILE: its lines say these themselves")
        _send_file(session, file)
        return
    if model is None or subject is None or final is None:
        raise typer.BadParameter("give a file of records, or --model, --subject and --final")
    record = {
        "id": id_ or session.surroundings.new_id(),
        "source": source or _SOURCE,
        "model": model,
        "subject_id": subject,
        "predicted": predicted,
        "final": final,
        "corrected": predicted != final,
        "prediction_id": prediction_id,
        "payload": _upload(session, photo) if photo else payload,
        "selection": selection,
        "actor": actor or session.surroundings.user(),
        "reason": reason,
        "reason_code": reason_code,
        "occurred_at": occurred_at or session.surroundings.now().isoformat(),
        "schema_version": 1,
    }
    given = {name: value for name, value in record.items() if value is not None}
    answer = session.ingest.post("/v1/feedback", given).json()
    state = "was there already" if answer.get("duplicate") else "accepted"
    session.out.give(answer, lambda: f"{record['id']} {state} at offset {answer['offset']}")


def _upload(session: Session, photo: Path) -> str:
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{photo} cannot be read: {error.strerror}") from error
    answer = session.control.post("/v1/payloads", data, content_type="application/octet-stream")
    return str(answer.json()["uri"])


def _send_file(session: Session, file: Path) -> None:
    results: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    with _lines(file) as lines, session.out.errors.status("sending") as status:
        for batch in _batches(lines):
            body = b"".join(line + b"\n" for _, line in batch)
            for result in _post(session, body)["results"]:
                result["line"] = batch[result["index"]][0]
                results.append(result)
                if result["status"] >= _FIRST_ERROR:
                    refused.append(result)
            status.update(f"{len(results)} sent, {len(refused)} refused")
    if session.out.as_json:
        session.out.line({"results": results})
    else:
        if refused:
            columns: list[Column] = [
                ("LINE", lambda r: r["line"]),
                ("CODE", lambda r: r["code"]),
                ("WHY", lambda r: r.get("detail")),
            ]
            session.out.console.print(table(refused, columns, ""))
        kept = ", which ingest keeps in quarantine" if refused else ""
        accepted = len(results) - len(refused)
        session.out.text(f"{accepted} accepted, {len(refused)} refused{kept}")
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _post(session: Session, body: bytes) -> Any:
    """Send one batch, waiting as long as ingest asks for when it is full."""
    while True:
        try:
            answer = session.ingest.post(
                "/v1/feedback/batch", body, content_type="application/x-ndjson"
            )
        except ApiProblem as problem:
            if problem.status != _TOO_MANY:
                raise
            asked = 1.0 if problem.retry_after is None else problem.retry_after
            wait = min(max(asked, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)
            session.out.say(f"ingest is full; trying again in {wait:g} s", "dim")
            time.sleep(wait)
        else:
            return answer.json()


@contextmanager
def _lines(file: Path) -> Iterator[IO[bytes]]:
    if file == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
    with opened:
        yield opened


def _batches(lines: IO[bytes]) -> Iterator[Batch]:
    """Yield the lines that are not blank, with their numbers, in batches that ingest takes."""
    batch: Batch = []
    size = 0
    for number, line in enumerate(lines, start=1):
        record = line.strip()
        if not record:
            continue
        if batch and (len(batch) == _BATCH_LINES or size + len(record) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, record))
        size += len(record)
    if batch:
        yield batch
