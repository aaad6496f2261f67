"""The quarantine's index: what was refused, why, and what became of it since.

The objects hold the records, verbatim; the index holds a row for each, so that pages, counts and
journeys need not read them. QuarantineEntryNotFound: `quarantine.not_found`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from msgspec import Struct

from burnish.feedback.model import Rejection
from burnish.feedback.parse import STRUCTURED, media_type
from burnish.kernel.errors import NotFound

_MAX_NAME: Final = 255  # characters of a source and an id, as everywhere
_MAX_MODEL: Final = 63
_NUL: Final = "\0"  # PostgreSQL keeps it in no text


class QuarantineEntryNotFound(NotFound):
    """The quarantine has no such entry."""

    code = "quarantine.not_found"


class EntryState(StrEnum):
    """What became of a refused record."""

    OPEN = "open"  # still refused, as far as anybody tried
    ACCEPTED = "accepted"  # replayed: it is in the raw log now
    MOVED = "moved"  # replayed and refused anew: a newer entry holds it, with its new reason


class Entry(Struct, frozen=True, kw_only=True):
    """One refused record: a row of table `quarantine`."""

    id: str  # "<name of its object>-<line>"
    key: str  # of its object
    line: int  # in it, from 0
    code: str
    detail: str
    received_at: datetime
    model: str | None = None  # these three as far as the record lets us know
    source: str | None = None
    record_id: str | None = None
    state: EntryState = EntryState.OPEN
    replays: int = 0
    replayed_at: datetime | None = None


class Selection(Struct, frozen=True, kw_only=True):
    """Which entries; None means any."""

    code: str | None = None
    model: str | None = None
    day: str | None = None  # of receipt, in UTC: "2026-05-01"
    state: EntryState | None = EntryState.OPEN
    ids: tuple[str, ...] | None = None
    source: str | None = None
    record_id: str | None = None


class Count(Struct, frozen=True, kw_only=True):
    """How many entries of one code and model there are in one state."""

    code: str
    model: str | None
    state: EntryState
    entries: int
    oldest: datetime
    newest: datetime


def entries(key: str, data: bytes) -> list[Entry]:
    """Return the rows of an object of the quarantine."""
    name = PurePosixPath(key).stem
    found = []
    for line, one in enumerate(msgspec.json.Decoder(Rejection).decode_lines(data)):
        said = _said(one)
        found.append(
            Entry(
                id=f"{name}-{line}",
                key=key,
                line=line,
                code=one.code,
                detail=one.detail.replace(_NUL, "\N{REPLACEMENT CHARACTER}"),
                received_at=one.received_at,
                model=_text(said.get("model"), _MAX_MODEL),
                source=_text(said.get("source"), _MAX_NAME),
                record_id=_text(said.get("id"), _MAX_NAME),
            )
        )
    return found


def rejection_at(data: bytes, line: int) -> Rejection:
    """Return one line of an object of the quarantine."""
    return msgspec.json.decode(data.split(b"\n")[line], type=Rejection)


def verbatim(rejection: Rejection) -> bytes:
    """Return the body that came in."""
    return (rejection.body or "").encode() if rejection.body_b64 is None else rejection.body_b64


def _said(rejection: Rejection) -> Mapping[str, Any]:
    """Return model, source and id of a record that may be broken in any way."""
    try:
        body = msgspec.json.decode(verbatim(rejection))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = None
    body = body if isinstance(body, dict) else {}
    if media_type(rejection.content_type) == STRUCTURED:
        data = body.get("data")
        return body | {"model": data.get("model") if isinstance(data, dict) else None}
    if "specversion" in rejection.ce:
        return rejection.ce | {"model": body.get("model")}
    return body


def _text(value: object, longest: int) -> str | None:
    usable = isinstance(value, str) and 0 < len(value) <= longest and _NUL not in value
    return str(value) if usable else None
