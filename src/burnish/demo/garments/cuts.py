"""How garments are cut: outlines, panels, seams and buttons, in units of about half a garment.

The origin is the garment's middle; x runs to the right, y down. Everything is symmetric here: the
table that a garment is laid on (`placing`) sees to it that no two lie alike.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from burnish.demo.garments.raster import Points

_CORNER: Final = 0.035  # radius of a corner: cloth has no sharp ones
_HEM: Final = 0.055  # from an edge to its stitching


class Seam(NamedTuple):
    """A line where cloth was sewn; `stitched` ones show their thread."""

    line: Points
    stitched: bool = True


class Panel(NamedTuple):
    """A part with a tone of its own: a collar, a waistband, the inside seen through the neck."""

    outline: Points
    tone: float  # its brightness beside the rest
    ribbed: bool = False


class Cut(NamedTuple):
    """One garment; all its lines are closed under the mirror."""

    outline: Points
    panels: list[Panel]
    seams: list[Seam]
    buttons: Points  # may be empty
    size: float  # photo sides per unit


def points(*pairs: tuple[float, float]) -> Points:
    """Return pairs as points."""
    return np.array(pairs, np.float32).reshape(-1, 2)


def shirt(rng: np.random.Generator) -> Cut:
    """Cut a T-shirt, or, as often, a shirt with collar, placket, buttons and pocket."""
    sleeve = rng.uniform(-0.06, 0.22)  # how much longer than the shortest
    flare = rng.uniform(-0.03, 0.05)
    cuff_top, cuff_low = (
        (0.95 + 0.3 * sleeve, -0.40 + sleeve),
        (0.77 + 0.2 * sleeve, -0.12 + sleeve),
    )
    right = points(
        (0.20, -0.84), (0.52, -0.74), cuff_top, cuff_low,
        (0.52, -0.26), (0.50, 0.25), (0.53 + flare, 0.90),
    )  # fmt: skip
    hem = 0.90 - _HEM
    seams = [
        Seam(points((-0.53 - flare, hem), (0, hem + 0.01), (0.53 + flare, hem))),
        *_both(points((0.50, -0.73), (0.46, -0.50), (0.52, -0.26)), stitched=False),
        *_both(_inset(cuff_top, cuff_low, right[1], right[4])),
    ]
    deep = rng.uniform(-0.66, -0.60)
    back, front = _arc(0.20, -0.84, -0.79), _arc(0.20, -0.84, deep)
    panels = [Panel(np.concatenate([back, front[::-1]]), 0.62)]
    if rng.random() < 0.5:  # noqa: PLR2004
        ring = np.concatenate([front, _arc(0.26, -0.825, deep + 0.065)[::-1]])
        return Cut(
            _mirrored(right, back), [*panels, Panel(ring, 0.95, ribbed=True)],
            [*seams, Seam(_arc(0.27, -0.82, deep + 0.085))], points(), 0.475,
        )  # fmt: skip
    flap = points((0.20, -0.85), (0.03, deep), (0.17, deep + 0.10), (0.30, -0.80))
    placket = points((-0.055, deep), (0.055, deep), (0.055, 0.90), (-0.055, 0.90))
    pocket = points((0.17, -0.28), (0.40, -0.28), (0.40, -0.05), (0.285, 0.0), (0.17, -0.05))
    rows = np.linspace(deep + 0.12, 0.72, 6)
    return Cut(
        _mirrored(right, back),
        [*panels, Panel(placket, 1.03), Panel(flap, 1.06), Panel(_mirror(flap), 1.06)],
        [
            *seams,
            Seam(placket[[0, 3]]), Seam(placket[[1, 2]]),
            Seam(np.concatenate([pocket, pocket[:1]])),
            Seam(pocket[:2] + points((0, 0.04))),
            *_both(flap, stitched=False),
        ],
        np.stack([np.zeros(6), rows], axis=1).astype(np.float32),
        0.475,
    )  # fmt: skip


def towel(rng: np.random.Generator) -> Cut:
    """Cut a towel with hems and woven borders; some lie folded."""
    wide, high = rng.uniform(0.58, 0.72), rng.uniform(0.82, 0.92)
    corner = points((wide, -high), (wide, high))
    bands = [
        Panel(points((-wide, y), (wide, y), (wide, y + 0.05), (-wide, y + 0.05)), tone, ribbed=True)
        for y in (-high + 0.18, high - 0.23)
        for tone in (rng.uniform(0.80, 0.92),)
    ]
    edge = high - _HEM
    seams = [Seam(points((-wide, y), (wide, y))) for y in (-edge, edge)]
    seams += _both(points((wide - 0.035, -high), (wide - 0.035, high)))
    if rng.random() < 0.5:  # noqa: PLR2004
        at = rng.uniform(-0.1, 0.1)
        seams.append(Seam(points((-wide, at), (0, at + 0.01), (wide, at)), stitched=False))
    return Cut(_mirrored(corner, points()), bands, seams, points(), 0.49)


def trousers(rng: np.random.Generator) -> Cut:
    """Cut trousers with waistband, fly, pockets and a button; some are shorts."""
    leg = rng.choice([0.93, 0.93, 0.42])
    outer, inner = (0.50, leg), (0.13, leg)
    right = points((0.36, -0.90), (0.39, -0.75), (0.47, -0.45), outer, inner, (0.02, -0.08))
    belt = points((-0.36, -0.90), (0.36, -0.90), (0.385, -0.77), (-0.385, -0.77))
    hem = points((0, -_HEM))
    loops = [
        Panel(points((x, -0.92), (x + 0.036, -0.92), (x + 0.036, -0.75), (x, -0.75)), 1.1)
        for x in (-0.258, 0.222)
    ]
    seams = [
        Seam(belt[[3, 2]]), Seam(points((-0.36, -0.88), (0.36, -0.88))),
        Seam(points((0, -0.77), (0, -0.10)), stitched=False),
        Seam(points((0.09, -0.77), (0.09, -0.42), (0.02, -0.30))),
        *_both(points((0.22, -0.77), (0.27, -0.60), (0.44, -0.52))),
        *_both(points(outer, inner) + hem),
        *_both(points((0.33, -0.45), (0.315, leg)), stitched=False),
    ]  # fmt: skip
    middle = points((0, -0.24))
    cut = Cut(
        _mirrored(right[:-1], points(), right[-1:]), [Panel(belt, 0.94), *loops], seams,
        points((0.0, -0.835)), 0.48 if leg > 0.5 else 0.60,  # noqa: PLR2004
    )  # fmt: skip
    return _moved(cut, -middle) if leg < 0.5 else cut  # noqa: PLR2004


CUTS: Final[Mapping[str, Callable[[np.random.Generator], Cut]]] = {
    "shirt": shirt,
    "towel": towel,
    "trousers": trousers,
}


def rounded(outline: Points, radius: float = _CORNER) -> Points:
    """Return a closed polygon with its corners rounded and its edges cut into short pieces."""
    ahead, behind = np.roll(outline, -1, axis=0), np.roll(outline, 1, axis=0)
    found = []
    for corner, following, previous in zip(outline, ahead, behind, strict=True):
        start = corner + _towards(corner, previous, radius)
        end = corner + _towards(corner, following, radius)
        t = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
        found.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
        far = following + _towards(following, corner, radius)
        found.append(end + (far - end) * np.linspace(0.1, 0.9, 9, dtype=np.float32)[:, None])
    return np.concatenate(found).astype(np.float32)


def resampled(line: Points, step: float) -> Points:
    """Return an open line with a point at every `step` of its length, its end included."""
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, lengths[-1], max(2, round(lengths[-1] / step) + 1))
    return np.stack([np.interp(at, lengths, line[:, axis]) for axis in (0, 1)], axis=1).astype(
        np.float32
    )


def _moved(cut: Cut, by: Points) -> Cut:
    return cut._replace(
        outline=cut.outline + by,
        panels=[panel._replace(outline=panel.outline + by) for panel in cut.panels],
        seams=[seam._replace(line=seam.line + by) for seam in cut.seams],
        buttons=cut.buttons + by,
    )


def _mirror(line: Points) -> Points:
    return line * points((-1, 1))


def _mirrored(right: Points, top: Points, bottom: Points | None = None) -> Points:
    """Close the right half (top to bottom) with its mirror image; `top` runs from left to right."""
    low = points() if bottom is None else bottom
    return np.concatenate([top[1:-1], right, low, _mirror(right)[::-1]])


def _both(line: Points, *, stitched: bool = True) -> list[Seam]:
    return [Seam(line, stitched), Seam(_mirror(line), stitched)]


def _arc(half: float, top: float, deep: float) -> Points:
    """Return a neckline from left to right: `half` wide, from `top` down to `deep`."""
    angle = np.linspace(0, np.pi, 13)
    return np.stack([-half * np.cos(angle), top + (deep - top) * np.sin(angle)], axis=1).astype(
        np.float32
    )


def _inset(one: tuple[float, float], other: tuple[float, float], *inwards: Points) -> Points:
    """Return the edge from `one` to `other`, moved a hem's width along the edges that leave it."""
    ends = points(one, other)
    return np.stack(
        [end + _towards(end, inner, _HEM) for end, inner in zip(ends, inwards, strict=True)]
    )


def _towards(start: Points, end: Points, distance: float) -> Points:
    way = end - start
    return np.asarray(way * min(0.45, distance / max(1e-6, float(np.hypot(*way)))), np.float32)
