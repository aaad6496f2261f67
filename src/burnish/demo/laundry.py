"""The quick story: rendered garments, good or with a stain, a hole or a loose thread.

No photo and no label here is real, and the screen says so. The first model sees light cottons on a
pale table; production then brings dark and patterned cloth under a warm lamp, little at first, and
before long hardly anything else. That is the drift which every round has something to learn from.
"""

from random import Random
from typing import Final

from msgspec import Struct

from burnish.demo.album import Album, Pace, Photo
from burnish.demo.garments.photo import Domain, render

LABELS: Final = ("good", "defect")
FIRST: Final = 120  # plain photos of the first model
HOLDOUT: Final = 240  # half of them plain
STREAM: Final = 1200  # costs nothing until a photo arrives
DRIFT: Final = (0.05, 0.95)  # patterned share of the stream, at the start and once it has drifted
DRIFTING: Final = 480  # photos, three rounds, that this takes; those after them are half and half
PASSERS: Final = 40  # few enough that each is asked about several times per release
PACE: Final = Pace(arrivals=160, looks=120, more=40, min_corrections=10, p_better=0.50)


class Rendered(Struct, frozen=True, kw_only=True):
    """A photo that is rendered whenever it is read, always the same."""

    name: str
    label: str
    domain: Domain
    media_type: str = "image/jpeg"

    def read(self) -> bytes:
        """Return the bytes of a JPEG file; takes some milliseconds."""
        return render(self.name, self.domain, defect=self.label == "defect")


def album(seed: int = 0) -> Album:
    """Deal the photos out; the same seed, the same album."""
    random = Random(seed)  # noqa: S311  (a repeatable deal, no secret)
    both = tuple(Domain)
    return Album(
        model="laundry",
        title="Defects in garments",
        opening="labelled photos of plain garments",
        labels=LABELS,
        pace=PACE,
        cast=(
            "The photos are synthetic: garments that our own renderer draws, flaws included.",
            "The reviewer is synthetic too: it knows what was drawn.",
        ),
        first=_even("first", FIRST, (Domain.PLAIN,), random),
        holdout=_even("holdout", HOLDOUT, both, random),
        stream=_drifting("stream", STREAM, random),
        passers=_even("passer", PASSERS, both, random),
    )


def patterned_share(number: int) -> float:
    """Return how likely the stream's photo of this number, from 0, shows patterned cloth."""
    start, end = DRIFT
    return start + (end - start) * number / DRIFTING if number < DRIFTING else 0.5


def _drifting(part: str, count: int, random: Random) -> tuple[Photo, ...]:
    return tuple(
        Rendered(
            name=f"{part}-{number:04}.jpg",
            label=random.choice(LABELS),
            domain=Domain.PATTERNED if random.random() < patterned_share(number) else Domain.PLAIN,
        )
        for number in range(count)
    )


def _even(part: str, count: int, domains: tuple[Domain, ...], random: Random) -> tuple[Photo, ...]:
    """Return photos in a shuffled order: as many of each domain and label as of any other."""
    kinds = [(domain, label) for domain in domains for label in LABELS]
    numbers = list(range(count))
    random.shuffle(numbers)
    return tuple(
        Rendered(name=f"{part}-{number:04}.jpg", label=label, domain=domain)
        for number in numbers
        for domain, label in (kinds[number % len(kinds)],)
    )
