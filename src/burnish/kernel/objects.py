"""The object store: named, immutable bytes. Every room that keeps files keeps them here."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal, Protocol, runtime_checkable

from burnish.kernel.digest import Part, hexadecimal
from burnish.kernel.errors import Conflict, NotFound


class ObjectNotFound(NotFound):
    """No object has this key."""

    code = "object.not_found"


class ObjectConflict(Conflict):
    """The key is taken by other bytes; objects are never overwritten."""

    code = "object.conflict"


class Objects(Protocol):
    """Create-only storage of bytes by key; durable once `put` returns."""

    def put(self, key: str, *parts: Part) -> None:
        """Store the bytes. The same bytes again are a no-op; others raise ObjectConflict."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes. Raises ObjectNotFound."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether the key is taken."""
        ...

    def delete(self, key: str) -> None:
        """Take the bytes away for good, if they are there: for a person's right, and for it alone.

        The key is then free, but nothing else may be put there by who names keys by content.
        """
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a folder such as `raw/`, sorted."""
        ...

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: timedelta) -> str:
        """Return a URL that lets its bearer do this one thing for so long, without a key."""
        ...


@runtime_checkable
class Mappable(Protocol):
    """A store whose objects can be looked into without reading all of them."""

    def map(self, key: str) -> memoryview:
        """Return the bytes, read as they are looked at. Raises ObjectNotFound."""
        ...


def view(objects: Objects, key: str) -> memoryview:
    """Return an object's bytes: mapped where the store can do so, else read. May raise so."""
    return objects.map(key) if isinstance(objects, Mappable) else memoryview(objects.get(key))


PAYLOADS: Final = "payloads/sha256/"  # where inputs lie


def payload_key(sha256: str) -> str:
    """Return the key of an input's bytes, kept by content.

    >>> payload_key("sha256:" + "ab" * 32)[:22]
    'payloads/sha256/ab/aba'
    """
    name = hexadecimal(sha256)
    return f"{PAYLOADS}{name[:2]}/{name}"
