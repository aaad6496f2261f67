"""Reads what a stopped platform left behind, past all of the platform's own reading code."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import zstandard
from sqlalchemy import Connection, Engine, inspect, text

from burnish.bootstrap.database import opened
from burnish.demo.album import DemoError
from burnish.demo.proof import BEGUN, DONE, Footprints, Note, RecordKey, StepKey

# How many things there are that an event of the type tells of.
_THINGS: Final = {
    "RunStarted": "SELECT count(*) FROM runs",
    "DatasetBuilt": "SELECT count(DISTINCT dataset) FROM runs",
    "TrainingCompleted": "SELECT count(*) FROM jobs WHERE state = 'SUCCEEDED'",
    "EvaluationCompleted": "SELECT count(*) FROM evaluations",
    "ModelDeployed": "SELECT count(*) FROM releases WHERE generation IS NOT NULL",
}
_SYSTEM: Final[frozenset[str]] = frozenset({"information_schema", "pg_catalog", "pg_toast"})


class _Line(msgspec.Struct):
    """Of a line of the raw log, what identifies it."""

    source: str
    id: str


class _Entry(msgspec.Struct):
    """Of a line of a worker's log, what tells of a step."""

    event: str
    run: str = ""
    step: str = ""


def read_footprints(objects: Path, worker_log: Path, database: str) -> Footprints:
    """Read the raw log below `objects`, the log of the workers, and the database."""
    with opened(database) as engine, engine.connect() as connection:
        return Footprints(
            lines=list(raw_lines(objects)),
            notes=list(_notes(worker_log)),
            done=_done(connection),
            events=_events(connection),
            rows=_rows(connection),
            attempts=_attempts(connection),
        )


def raw_lines(objects: Path) -> Iterator[RecordKey]:
    """Yield the identity of every line in every object of the raw log."""
    for path in sorted(objects.glob("raw/**/*.zst")):
        with path.open("rb") as file, closing(_unpacked(file)) as lines:
            for line in lines:
                record = msgspec.json.decode(line, type=_Line)
                yield record.source, record.id


def check_empty(database: str) -> None:
    """Raise DemoError if a database holds tables, InvalidInput or Unavailable if it is none."""
    with opened(database) as engine:
        found = _tables(engine)
    if found:
        raise DemoError(
            f"{engine.url.render_as_string(hide_password=True)} is not empty: it holds"
            f" {len(found)} tables ({', '.join(found[:3])}, …). The story begins with nothing: name"
            " a database without tables, such as one that `createdb` has just made."
        )


def _tables(engine: Engine) -> list[str]:
    inspector = inspect(engine)
    return sorted(
        table
        for place in inspector.get_schema_names()
        if place not in _SYSTEM
        for table in inspector.get_table_names(schema=place)
    )


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))


def _notes(worker_log: Path) -> Iterator[Note]:
    for line in worker_log.read_bytes().splitlines():
        try:
            entry = msgspec.json.decode(line, type=_Entry)
        except msgspec.MsgspecError:  # a line that a killed worker did not finish, or a library's
            continue
        if entry.event in {BEGUN, DONE}:
            yield entry.event, entry.run, entry.step


def _done(connection: Connection) -> frozenset[StepKey]:
    query = text("SELECT run, step FROM run_steps WHERE state = 'done'")
    return frozenset((run, step) for run, step in connection.execute(query))


def _events(connection: Connection) -> Counter[str]:
    query = text("SELECT type, count(*) FROM outbox GROUP BY type")
    return Counter({type_: count for type_, count in connection.execute(query)})  # noqa: C416


def _rows(connection: Connection) -> dict[str, int]:
    return {type_: connection.scalar(text(query)) or 0 for type_, query in _THINGS.items()}


def _attempts(connection: Connection) -> dict[str, int]:
    query = text("SELECT id, attempt FROM jobs")
    return {job: attempt for job, attempt in connection.execute(query)}  # noqa: C416
