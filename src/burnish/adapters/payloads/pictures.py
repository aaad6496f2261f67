"""What contents show, and which stands for which: each is looked at once."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from burnish.adapters.sql.payloads import Seen, SqlPayloads
from burnish.datasets.alike import (
    Fingerprint,
    HashIndex,
    Shade,
    fingerprint,
    packed,
    same_picture,
    shade,
    unpacked,
)
from burnish.imaging import UnreadableImage, decode
from burnish.kernel.digest import digest
from burnish.kernel.errors import Stale
from burnish.kernel.objects import ObjectNotFound, Objects, payload_key

_SHADES: Final = 512  # grey copies kept in memory, 50 KB each


class Look(Struct, frozen=True, kw_only=True):
    """What one photo shows."""

    pixels: str  # digest of what a model sees of it
    fingerprint: Fingerprint | None  # None unless it was looked at closely


def look_at(data: bytes, *, closely: bool) -> Look:
    """Look at a photo's bytes. Raises UnreadableImage."""
    photo = decode(data)
    return Look(pixels=digest(photo.tobytes()), fingerprint=fingerprint(photo) if closely else None)


class Pictures:
    """Notes what contents show, and finds the first that shows the same picture.

    It keeps the fingerprints of all contents that stand for a picture in memory, and reads those
    that others have added before it adds its own. Safe in any thread.
    """

    def __init__(self, payloads: SqlPayloads, objects: Objects) -> None:
        self._payloads = payloads
        self._objects = objects
        self._index = HashIndex()
        self._last = 0  # id of the last row that is in the index
        self._shades: OrderedDict[str, Shade | None] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, looks: Mapping[str, Look | None]) -> None:
        """Note what these contents show, by digest; None for what is no image."""
        with self._lock:
            while looks:
                self._catch_up()
                seen, new = self._compared(looks)
                try:
                    self._last = self._payloads.see(seen, expected=self._last)
                except Stale:  # another worker was faster: compare with what it has added, too
                    continue
                for name, found in new:
                    self._index.add(found, name)
                return

    def _catch_up(self) -> None:
        found, self._last = self._payloads.pictures(self._last)
        for name, data in found:
            self._index.add(unpacked(data), name)

    def _compared(
        self, looks: Mapping[str, Look | None]
    ) -> tuple[list[Seen], list[tuple[str, Fingerprint]]]:
        """Return the rows to add, and those of them that stand for a picture of their own."""
        beside = HashIndex()
        seen: list[Seen] = []
        new: list[tuple[str, Fingerprint]] = []
        for name, look in sorted(looks.items()):
            if look is None or look.fingerprint is None:
                seen.append(Seen(sha256=name, pixels=look.pixels if look else None))
                continue
            near = [*self._index.near(look.fingerprint), *beside.near(look.fingerprint)]
            first = next((one for one in near if self._same(one, name)), name)
            if first == name:
                beside.add(look.fingerprint, name)
                new.append((name, look.fingerprint))
            seen.append(
                Seen(
                    sha256=name,
                    pixels=look.pixels,
                    fingerprint=packed(look.fingerprint),
                    by_picture=first,
                )
            )
        return seen, new

    def _same(self, one: str, other: str) -> bool:
        first, second = self._shade(one), self._shade(other)
        return first is not None and second is not None and same_picture(first, second)

    def _shade(self, sha256: str) -> Shade | None:
        """Return the grey copy of a content, None if it is gone."""
        if sha256 not in self._shades:
            try:
                self._shades[sha256] = shade(decode(self._objects.get(payload_key(sha256))))
            except (ObjectNotFound, UnreadableImage):
                self._shades[sha256] = None
            if len(self._shades) > _SHADES:
                self._shades.popitem(last=False)
        self._shades.move_to_end(sha256)
        return self._shades[sha256]
