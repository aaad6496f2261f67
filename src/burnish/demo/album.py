"""What a story is told with: photos, their true labels, and the part that each of them plays."""

from pathlib import Path

from msgspec import Struct


class DemoError(Exception):
    """The demo cannot begin or go on; the message says why and what to do about it."""


class Photo(Struct, frozen=True, kw_only=True):
    """One photo on disk and what it truly shows."""

    name: str  # its file name; the subject of its feedback
    label: str  # "" if nobody can tell
    path: Path

    def read(self) -> bytes:
        """Return the bytes of its file."""
        return self.path.read_bytes()


class Album(Struct, frozen=True, kw_only=True):
    """The photos of one story; no photo plays two parts."""

    model: str
    title: str
    labels: tuple[str, ...]
    cast: tuple[str, ...]  # sentences for the screen: where photos and verdicts come from
    first: tuple[Photo, ...]  # train the first model
    holdout: tuple[Photo, ...]  # judge every model, train none
    stream: tuple[Photo, ...]  # arrive in production, in this order
    passers: tuple[Photo, ...]  # background traffic, judged by nobody
