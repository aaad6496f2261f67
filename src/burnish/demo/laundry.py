"""The quick story: rendered garments, good or with a stain, a hole or a loose thread.

No photo and no label here is real, and the screen says so. The first model sees light cottons on a
pale table; production then brings dark and patterned cloth under a warm lamp as well.
"""

from random import Random
from typing import Final

from msgspec import Struct

from burnish.demo.album import Album, Pace, Photo
from burnish.demo.garments.photo import Domain, render

LABELS: Final = ("good", "defect")
FIRST: Final = 120  # plain photos of the first model
HOLDOUT: Final = 150  # half of them plain
STREAM: Final = 900  # likewise; costs nothing until a photo arrives
PASSERS: Final = 40  # few enough that each is asked about several times per release
PACE: Final = Pace(arrivals=140, looks=110, more=30, min_corrections=12, p_better=0.50)


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
        first=_photos("first", FIRST, (Domain.PLAIN,), random),
        holdout=_photos("holdout", HOLDOUT, both, random),
        stream=_photos("stream", STREAM, both, random),
        passers=_photos("passer", PASSERS, both, random),
    )


def _photos(
    part: str, count: int, domains: tuple[Domain, ...], random: Random
) -> tuple[Photo, ...]:
    """Return photos in a shuffled order: as many of each domain and label as of any other."""
    kinds = [(domain, label) for domain in domains for label in LABELS]
    numbers = list(range(count))
    random.shuffle(numbers)
    return tuple(
        Rendered(name=f"{part}-{number:04}.jpg", label=label, domain=domain)
        for number in numbers
        for domain, label in (kinds[number % len(kinds)],)
    )
