"""What can be wrong with a garment: stains, holes and loose threads."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np

from burnish.demo.garments.raster import (
    SIDE,
    Colour,
    Colours,
    Plane,
    Points,
    blend,
    filled,
    noise,
    ramp,
    shifted,
    soften,
    stroke,
    times,
)


class Ground(NamedTuple):
    """What a flaw is on."""

    inside: Plane  # the garment's mask
    base: Colour  # its colour
    dark: bool
    table: Colours  # what shows through a hole


Flaw = Callable[[np.random.Generator, Colours, Ground], Colours]

_LIQUIDS: Final[tuple[Colour, ...]] = (
    (0.42, 0.27, 0.14), (0.50, 0.12, 0.16), (0.36, 0.33, 0.22), (0.20, 0.24, 0.42),
    (0.55, 0.40, 0.12),
)  # fmt: skip
_RESIDUES: Final[tuple[Colour, ...]] = (  # on dark cloth: bleach, deodorant, toothpaste, paint
    (0.92, 0.76, 0.66), (0.88, 0.88, 0.84), (0.80, 0.90, 0.90), (0.90, 0.86, 0.66),
)  # fmt: skip


def stain(rng: np.random.Generator, cloth: Colours, ground: Ground) -> Colours:
    """Spill something: an uneven blot with a rim where it dried, and a few splashes."""
    x, y = _spot(rng, ground.inside, 9)
    radius = rng.uniform(12, 25)
    at = np.arange(SIDE, dtype=np.float32)
    stretch = rng.uniform(0.7, 1.4)
    away = np.hypot((at - x)[None, :] * stretch, (at - y)[:, None]) / radius
    away += 0.20 * noise(rng, 9) + 0.05 * noise(rng, 2)
    wet = ramp(away, 1.05, 0.80)
    rim = wet * ramp(away, 0.55, 0.95)
    depth = rng.uniform(0.65, 0.95) * (0.62 * wet + 0.38 * rim)
    for _ in range(rng.integers(0, 5)):
        angle, far = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.15, 1.7)
        drop = np.array([x + far * np.cos(angle), y + far * np.sin(angle)], np.float32)
        depth = np.maximum(depth, 0.5 * filled(_blob(rng, drop, rng.uniform(1.0, 2.6))))
    depth *= ground.inside
    if ground.dark:
        return blend(cloth, _RESIDUES[rng.integers(len(_RESIDUES))], depth * 0.9)
    # Liquids tint the threads: what is woven in still shows.
    tint = np.array(_LIQUIDS[rng.integers(len(_LIQUIDS))], np.float32) * 1.1
    return blend(cloth, cloth * tint, depth)


def hole(rng: np.random.Generator, cloth: Colours, ground: Ground) -> Colours:
    """Wear or tear the cloth through: the table shows, with frayed threads around and across."""
    middle = np.array(_spot(rng, ground.inside, 10), np.float32)
    radius = rng.uniform(6.0, 11.0)
    outline = _blob(rng, middle, radius)
    gap = filled(outline)
    depth = shifted(gap, 1, 2)
    beneath = times(ground.table, 0.30 + 0.38 * depth * gap)  # in its shadow
    worn = soften(gap, 2.2)
    thin = blend(cloth, _fray(ground), 0.55 * np.clip(worn * 1.6 - gap, 0, 1))
    torn = blend(thin, beneath, gap)
    ends = []
    for _ in range(rng.integers(9, 16)):
        root = outline[rng.integers(len(outline))]
        way = (middle - root) * rng.uniform(-0.55, 0.6) + rng.normal(0, 0.18 * radius, 2)
        ends.append(np.stack([root, root + way]).astype(np.float32))
    ends += [outline[rng.integers(0, len(outline), 2)] for _ in range(rng.integers(0, 3))]
    return blend(torn, _fray(ground), stroke(ends, 0.75) * ground.inside)


def loose_thread(rng: np.random.Generator, cloth: Colours, ground: Ground) -> Colours:
    """Pull a thread: it curls over the cloth, and casts a shadow."""
    start = np.array(_spot(rng, ground.inside, 4), np.float32)
    pieces = int(rng.integers(32, 56))
    curl = rng.choice([-1, 1]) * rng.uniform(0.06, 0.22)
    turns = np.cumsum(curl + rng.normal(0, 0.22, pieces))
    heading = rng.uniform(0, 2 * np.pi) + turns
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * rng.uniform(2.0, 3.2)
    line = (start + np.cumsum(steps, axis=0)).astype(np.float32)
    thread = np.clip(soften(stroke([line]), 0.55) * 1.9, 0, 1)  # about two pixels
    shadow = soften(shifted(thread, 2, 2), 0.9) * 0.5
    shaded = times(cloth, 1 - shadow)
    return blend(shaded, _thread(rng, ground), thread * 0.92)


FLAWS: Final[Mapping[str, Flaw]] = {"stain": stain, "hole": hole, "thread": loose_thread}


def _fray(ground: Ground) -> Colour:
    red, green, blue = ground.base
    pale = 0.45 if ground.dark else 0.75
    return red + (1 - red) * pale, green + (1 - green) * pale, blue + (1 - blue) * pale


def _thread(rng: np.random.Generator, ground: Ground) -> Colour:
    """Return a thread's colour: lighter than dark cloth; on light cloth, of any seam's thread."""
    if ground.dark:
        return _fray(ground)
    return tuple(rng.uniform(0.25, 0.5) * np.array(ground.base) * rng.uniform(0.8, 1.2, 3))


def _spot(rng: np.random.Generator, inside: Plane, margin: int) -> tuple[float, float]:
    """Return a point of the garment, at least `margin` pixels from its edge."""
    small = cv2.erode(inside[::4, ::4], np.ones((2 * (margin // 4) + 1,) * 2, np.uint8))
    rows, columns = np.nonzero(small > 0.9)  # noqa: PLR2004
    at = rng.integers(len(rows))
    return float(columns[at]) * 4, float(rows[at]) * 4


def _blob(rng: np.random.Generator, middle: Points, radius: float) -> Points:
    """Return an uneven round outline."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    edge = radius * np.ones_like(angle)
    for waves in (2, 3, 5):
        edge *= 1 + rng.normal(0, 0.32 / waves) * np.cos(waves * angle + rng.uniform(0, 6.3))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(middle + edge[:, None] * ring, np.float32)
