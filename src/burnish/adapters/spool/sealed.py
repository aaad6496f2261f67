"""Sealed ranges: raw log objects on local disk, synced, on their way to the object store."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from burnish.adapters.crash import crash_point
from burnish.adapters.files import clear_unfinished, make_folder, sync_folder, write_durably
from burnish.adapters.raw_object import compressed, object_key
from burnish.feedback.model import RawObject
from burnish.kernel.clock import parse_time
from burnish.kernel.digest import digest

_SUFFIX: Final = ".ndjson.zst"
_HOUR: Final = "%Y-%m-%dT%H"


class Sealed(Struct, frozen=True, kw_only=True):
    """One sealed file; its name holds all that its object's key needs."""

    path: Path
    first: int
    last: int  # inclusive
    hour: datetime  # of the first record's receipt

    def entry(self, shard: str, data: bytes) -> RawObject:
        """Return the manifest row of its object."""
        return RawObject(
            shard=shard,
            first_offset=self.first,
            last_offset=self.last,
            key=object_key(shard, self.first, self.last, self.hour),
            sha256=digest(data),
            records=self.last - self.first + 1,
            bytes=len(data),
        )


class SealedFiles:
    """The folder of sealed files. A retry uploads the very same bytes, even after a crash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)
        clear_unfinished(folder)

    def add(self, lines: Iterable[bytes], *, first: int, last: int, hour: datetime) -> Sealed:
        """Write the lines of the offsets `first` to `last`, and sync them.

        Args:
            lines: some at a time, each with its end.
            first: offset of the first one.
            last: offset of the last one.
            hour: of the first one's receipt.
        """
        name = f"{first:020}_{last:020}_{hour.strftime(_HOUR)}{_SUFFIX}"
        path = self._folder / name
        write_durably(path, compressed(lines))
        crash_point("ingest.after_seal")
        return Sealed(path=path, first=first, last=last, hour=hour)

    def pending(self) -> list[Sealed]:
        """Return what is sealed and not removed, in the order of offsets."""
        return [_parse(path) for path in sorted(self._folder.glob(f"*{_SUFFIX}"))]

    def remove(self, sealed: Sealed) -> None:
        """Remove a file whose object is stored and listed."""
        sealed.path.unlink(missing_ok=True)
        sync_folder(self._folder)


def _parse(path: Path) -> Sealed:
    first, last, hour = path.name.removesuffix(_SUFFIX).split("_")
    return Sealed(path=path, first=int(first), last=int(last), hour=parse_time(f"{hour}:00Z"))
