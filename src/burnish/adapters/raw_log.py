"""The raw log on object storage: sealed ranges of records, and their manifest."""

from collections.abc import Collection, Iterator
from typing import Final

from msgspec import structs
from sqlalchemy import Engine

from burnish.adapters.raw_object import SUFFIX, RawLogDamaged, decode, encode
from burnish.adapters.sql.raw_log import SqlManifest, stem
from burnish.feedback.erasure import ERASED_TYPE, Identity, redacted
from burnish.feedback.model import RawObject, RawRecord
from burnish.kernel.digest import digest, hexadecimal
from burnish.kernel.objects import ObjectNotFound, Objects

_NAME: Final = 16  # hex digits of the digest in the key of a rewritten object


class RawLogReader:
    """The raw log through its manifest; safe in any thread.

    It remembers the object last read, compressed: who follows the log reads it piece by piece.
    """

    def __init__(self, objects: Objects, engine: Engine) -> None:
        self._objects = objects
        self._manifest = SqlManifest(engine)
        self._last: tuple[str, bytes] = "", b""

    def end(self) -> dict[str, int]:
        """Return per shard the first offset that the log does not yet hold."""
        return self._manifest.end()

    def read(self, shard: str, first: int, end: int) -> Iterator[RawRecord]:
        """Yield the records with `first <= offset < end`, ascending. Raises RawLogDamaged."""
        for entry in self._manifest.covering(shard, first, end):
            # Offsets have no gaps, so lines can be passed over without reading them.
            for record in decode(self._checked(entry), skip=max(0, first - entry.first_offset)):
                if record.offset >= end:
                    break
                yield record

    def redact(self, identities: Collection[Identity], erasure: str) -> int:
        """Rewrite every object that holds one of these records; return the number of lines.

        Offsets, order and all other lines stay. The new object is listed before the old one goes;
        safe to repeat, and what a crash left over goes with the repetition.
        """
        lines = 0
        for entry in self._manifest.all():
            records = list(decode(self._checked(entry)))
            gone = [
                number
                for number, raw in enumerate(records)
                if (raw.source, raw.id) in identities and raw.content_type != ERASED_TYPE
            ]
            if gone:
                for number in gone:
                    records[number] = redacted(records[number], erasure)
                self._rewrite(entry, encode(records))
                lines += len(gone)
            elif entry.key != stem(entry.key) + SUFFIX:
                self._sweep(entry)
        return lines

    def _rewrite(self, entry: RawObject, data: bytes) -> None:
        address = digest(data)
        key = f"{stem(entry.key)}.{hexadecimal(address)[:_NAME]}{SUFFIX}"
        new = structs.replace(entry, key=key, sha256=address, bytes=len(data))
        self._objects.put(key, data)
        self._manifest.replace(entry, new)
        self._sweep(new)

    def _sweep(self, entry: RawObject) -> None:
        """Delete the other objects of the same offsets."""
        folder = entry.key.rpartition("/")[0] + "/"
        for key in list(self._objects.list(folder)):
            if stem(key) == stem(entry.key) and key != entry.key:
                self._objects.delete(key)

    def _checked(self, entry: RawObject) -> bytes:
        key, data = self._last
        if key != entry.sha256:
            try:
                data = self._objects.get(entry.key)
            except ObjectNotFound:  # an erasure may have rewritten it since we read the manifest
                (now,) = self._manifest.covering(
                    entry.shard, entry.first_offset, entry.first_offset + 1
                )
                if now == entry:
                    raise
                return self._checked(now)
            if digest(data) != entry.sha256:
                raise RawLogDamaged(
                    f"{entry.key!r} is not what the manifest lists: restore it from a backup.",
                    key=entry.key,
                    expected=entry.sha256,
                    found=digest(data),
                )
            self._last = entry.sha256, data
        return data
