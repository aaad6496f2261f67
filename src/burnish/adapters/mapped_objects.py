"""A remote store whose objects can be looked into: what was mapped once lies on this disk."""

import os
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from burnish.adapters.files import clear_unfinished, make_folder, write_durably
from burnish.adapters.maps import Maps
from burnish.kernel.digest import Part
from burnish.kernel.objects import Objects

LIMIT: Final = 16 << 30  # bytes kept: layers of some 80 million records


class MappedObjects:
    """The objects of another store; those that are mapped are fetched once and kept.

    Args:
        objects: the store.
        folder: for what is kept; it may be lost at any time.
        limit: how many bytes are kept; those that were used longest ago go first.
    """

    def __init__(self, objects: Objects, folder: Path, *, limit: int = LIMIT) -> None:
        self._objects = objects
        self._folder = folder
        self._limit = limit
        self._maps = Maps()
        make_folder(folder)
        clear_unfinished(folder)

    def map(self, key: str) -> memoryview:
        """Return the bytes, read as they are looked at. Raises ObjectNotFound."""
        path = self._path(key)
        if path.exists():
            os.utime(path)
        else:
            write_durably(path, self._objects.get(key))
            self._trim(path)
        return self._maps.open(path)

    def put(self, key: str, *parts: Part) -> None:
        """Store the bytes. The same bytes again are a no-op; others raise ObjectConflict."""
        self._objects.put(key, *parts)

    def get(self, key: str) -> bytes:
        """Return the bytes. Raises ObjectNotFound."""
        return self._objects.get(key)

    def exists(self, key: str) -> bool:
        """Tell whether the key is taken."""
        return self._objects.exists(key)

    def delete(self, key: str) -> None:
        """Take the bytes away for good, here too."""
        self._objects.delete(key)
        self._drop(self._path(key))

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a folder such as `raw/`, sorted."""
        return self._objects.list(prefix)

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: timedelta) -> str:
        """Return a URL that lets its bearer do this one thing for so long, without a key."""
        return self._objects.presign(key, method, lifetime)

    def _path(self, key: str) -> Path:
        return self._folder / sha256(key.encode()).hexdigest()

    def _trim(self, newest: Path) -> None:
        """Delete what was used longest ago. What is mapped stays readable until it is let go."""
        kept = sorted((path.stat().st_mtime, path) for path in self._folder.iterdir())
        total = sum(path.stat().st_size for _, path in kept)
        for _, path in kept:
            if total > self._limit and path != newest:
                total -= path.stat().st_size
                self._drop(path)

    def _drop(self, path: Path) -> None:
        self._maps.forget(path)
        path.unlink(missing_ok=True)
