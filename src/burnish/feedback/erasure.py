"""Erasure: a person's right to have what was said of them taken out, and what is left of it then.

A tombstone names the record by its identity, so that copies of it are gone too. Builds leave the
record out from that moment on. Its lines in the raw log keep their offset, their receive time and
their identity, so that the log has no gap; nothing of what they said is left.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct, structs

from burnish.feedback.model import RawRecord
from burnish.feedback.verdict import Verdict
from burnish.kernel.errors import InvalidInput
from burnish.kernel.unit import Unit

ERASED_TYPE: Final = "application/vnd.burnish.erased+json"  # no schema reads it

Identity = tuple[str, str]  # source and id


class Scope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records are meant: all on a subject, of one model or of any, or one by its identity."""

    subject: str | None = None
    model: str | None = None
    source: str | None = None
    id: str | None = None

    def check(self) -> None:
        """Raise InvalidInput unless it names either a subject or one record."""
        named = self.source is not None and self.id is not None
        half = (self.source is None) != (self.id is None)
        if half or named == (self.subject is not None):
            raise InvalidInput.of(
                "scope",
                structs.asdict(self),
                "name either a `subject` or one record by its `source` and `id`",
            )


class Tombstone(Struct, frozen=True, kw_only=True):
    """A record that must not be read again. A row of table `tombstones`."""

    source: str
    id: str
    erasure: str
    model: str
    payload_sha256: str | None  # of what it judged, as far as that was known
    at: datetime

    @property
    def identity(self) -> Identity:
        """Source and id: every line that has it is meant."""
        return self.source, self.id


class Erasure(Struct, frozen=True, kw_only=True):
    """One request to take records out. A row of table `erasures`."""

    id: str
    at: datetime
    actor: str
    reason: str
    records: int
    datasets: tuple[str, ...]  # versions that hold one of them as an example
    models: tuple[str, ...]  # model versions trained on those, as "laundry 1.2.0"
    payloads_removed: int = 0
    payloads_kept: int = 0  # another record needs them
    finished_at: datetime | None = None  # bytes are gone from the raw log and the object store


class TombstoneStore(Protocol):
    """Every record that was erased, and at whose request."""

    def add(self, erasure: Erasure, tombstones: Sequence[Tombstone]) -> None:
        """Keep a request and what it erases; a record that is erased already stays as it is."""
        ...

    def identities(self, model: str) -> set[Identity]:
        """Return the erased records of a model."""
        ...

    def payloads(self, digests: Collection[str]) -> set[str]:
        """Return those of these payloads that an erased record judged."""
        ...

    def find(self, source: str, id_: str) -> Tombstone | None:
        """Return what stands in place of a record, if it was erased."""
        ...

    def since(self, model: str, moment: datetime) -> bool:
        """Tell whether any record of a model was erased at or after a moment."""
        ...

    def of(self, erasure: str) -> list[Tombstone]:
        """Return what a request erases."""
        ...

    def newest(self, *, limit: int) -> list[Erasure]:
        """Return the newest requests, newest first."""
        ...

    def unfinished(self) -> list[Erasure]:
        """Return the requests whose bytes are not all gone yet, oldest first."""
        ...

    def finish(self, erasure: Erasure) -> None:
        """Note what became of the bytes."""
        ...


class ErasableStore(Protocol):
    """The projection, as far as erasing needs it."""

    def in_scope(self, scope: Scope) -> list[Verdict]:
        """Return the verdicts that a request means."""
        ...

    def forget(self, identities: Collection[Identity]) -> None:
        """Take verdicts out of the projection."""
        ...

    def judging(self, payloads: Collection[str]) -> set[str]:
        """Return those of these payloads, by digest, that a verdict still judges."""
        ...


class ErasureUnit(Unit, Protocol):
    """One transaction over erasures."""

    @property
    def tombstones(self) -> TombstoneStore:
        """What was erased."""
        ...

    @property
    def feedback(self) -> ErasableStore:
        """The projection."""
        ...


class ErasableLog(Protocol):
    """The raw log, as far as erasing needs it."""

    def redact(self, identities: Collection[Identity], erasure: str) -> int:
        """Rewrite every object that holds one of these records; return the number of lines.

        Offsets, order and all other lines stay. Safe to repeat.
        """
        ...


def redacted(raw: RawRecord, erasure: str) -> RawRecord:
    """Return a line of which only its place, its time and its identity are left."""
    return RawRecord(
        offset=raw.offset,
        received_at=raw.received_at,
        source=raw.source,
        id=raw.id,
        content_type=ERASED_TYPE,
        body=f'{{"erased":"{erasure}"}}',
    )
