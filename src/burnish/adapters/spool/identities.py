"""Which identities are kept already: the whole of dedupe, in memory."""

from msgspec import Struct


class Known(Struct, frozen=True):
    """Where the record of an identity lies, and what its body was."""

    offset: int
    body: bytes  # 16-byte hash


class Identities:
    """A map from the 16-byte hash of an identity to its record; the committer's thread owns it.

    It holds everything, at some 200 bytes each, and is rebuilt at start. Only `find` and `add` are
    known to the spool, so that sorted runs on disk can take its place.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def find(self, identity: bytes) -> Known | None:
        """Return the record of an identity, None if there is none."""
        return self._known.get(identity)

    def add(self, identity: bytes, known: Known) -> None:
        """Remember an identity; the first record of one stays."""
        self._known.setdefault(identity, known)

    def __len__(self) -> int:
        return len(self._known)
