"""What a story is told with: photos, their true labels, and the part that each of them plays."""

from pathlib import Path
from typing import Protocol

from msgspec import Struct


class DemoError(Exception):
    """The demo cannot begin or go on; the message says why and what to do about it."""


class Photo(Protocol):
    """One photo and what it truly shows."""

    @property
    def name(self) -> str:
        """Its file name; the subject of its feedback."""
        ...

    @property
    def label(self) -> str:
        """What it shows; "" if nobody can tell."""
        ...

    @property
    def media_type(self) -> str:
        """What its bytes are, as HTTP says it."""
        ...

    def read(self) -> bytes:
        """Return its bytes: the same each time."""
        ...


class PhotoFile(Struct, frozen=True, kw_only=True):
    """A photo on disk."""

    name: str
    label: str
    path: Path
    media_type: str = "image/png"

    def read(self) -> bytes:
        """Return the bytes of its file."""
        return self.path.read_bytes()


class Pace(Struct, frozen=True, kw_only=True):
    """How much happens in a round, in photos, and what it takes to be let in."""

    arrivals: int  # that arrive
    looks: int  # answers to them that the reviewer looks at
    more: int  # that arrive at a time when a round has not enough corrections yet
    min_corrections: int  # trigger a training: few enough for a good model's mistakes to reach it
    p_better: float  # how surely a candidate must beat the champion: a small round proves little


class Album(Struct, frozen=True, kw_only=True):
    """The photos of one story; no photo plays two parts."""

    model: str
    title: str
    opening: str  # what the first model learns from, as a headline goes on
    labels: tuple[str, ...]
    pace: Pace
    cast: tuple[str, ...]  # sentences for the screen: where photos and verdicts come from
    first: tuple[Photo, ...]  # train the first model
    holdout: tuple[Photo, ...]  # judge every model, train none
    stream: tuple[Photo, ...]  # arrive in production, in this order
    passers: tuple[Photo, ...]  # background traffic, judged by nobody
