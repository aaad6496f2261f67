"""A photo of one garment, from its name on: the same name gives the same bytes.

The picture is built in the order in which light would find it: table, shadow, cloth with what is
sewn on and what is wrong with it, folds, lamp, camera.
"""

import hashlib
from enum import StrEnum
from typing import Final

import numpy as np

from burnish.demo.garments import cloth, room
from burnish.demo.garments.cuts import CUTS, Cut, resampled, rounded
from burnish.demo.garments.flaws import FLAWS, Ground
from burnish.demo.garments.placing import Folds, Lie, folds, lay, worn
from burnish.demo.garments.raster import (
    SIDE,
    Colours,
    Plane,
    Points,
    blend,
    filled,
    ramp,
    shifted,
    soften,
    stroke,
    times,
)

_STITCH: Final = 0.034  # garment units from one stitch to the next
_SUN: Final = np.array(
    [-0.55, -0.75], np.float32
)  # where the light comes from: above, from the left
_SECOND_FLAW: Final = 0.5  # how often there is another one


class Domain(StrEnum):
    """Where a garment comes from; the two differ in everything but what a flaw is."""

    PLAIN = "plain"  # light cottons on a pale table, evenly lit
    PATTERNED = "patterned"  # dark and patterned cloth on wood, under one warm lamp


def render(name: str, domain: Domain, *, defect: bool) -> bytes:
    """Return the photo of this name as a JPEG file of SIDE x SIDE pixels."""
    seed = hashlib.sha256(f"{domain}/{defect}/{name}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(seed, np.uint32))
    kind = str(rng.choice(list(CUTS)))
    patterned = domain is Domain.PATTERNED
    weave = cloth.patterned if patterned else cloth.plain
    bolt = weave(rng, terry=kind == "towel")
    cut = CUTS[kind](rng)
    lie = lay(rng, cut)
    surface = folds(rng, rng.uniform(0.7, 1.1) if patterned else rng.uniform(0.6, 1.0))
    table = (room.wood if patterned else room.laminate)(rng)

    inside = filled(lie.pixels(rounded(cut.outline)))
    sewn = _sewn(worn(bolt.tile, lie, surface), cut, lie, bolt)
    if defect:
        ground = Ground(inside, bolt.base, bolt.dark, table)
        for _ in range(2 if rng.random() < _SECOND_FLAW else 1):
            sewn = FLAWS[str(rng.choice(list(FLAWS)))](rng, sewn, ground)
    lit = times(sewn, _shade(surface, inside))
    scene = blend(_shadowed(table, inside), lit, inside)
    light = (room.warm_light if patterned else room.even_light)(rng)
    return room.photograph(rng, scene * light)


def _sewn(fabric: Colours, cut: Cut, lie: Lie, bolt: cloth.Cloth) -> Colours:
    """Return the cloth with panels, seams, stitches and buttons."""
    tone = np.ones((SIDE, SIDE), np.float32)
    groove = np.zeros_like(tone)
    for panel in cut.panels:
        outline = lie.pixels(panel.outline)
        area = filled(outline)
        tone += (panel.tone - tone) * area
        groove = np.maximum(groove, 0.7 * stroke([_closed(outline)]))
    seams = [lie.pixels(resampled(seam.line, _STITCH / 2)) for seam in cut.seams]
    groove = np.maximum(groove, stroke(seams))
    stitches = stroke(
        [
            line[at : at + 2]
            for seam, line in zip(cut.seams, seams, strict=True)
            if seam.stitched
            for at in range(0, len(line) - 1, 2)
        ],
        0.9,
    )
    depth = soften(groove, 0.8)
    tone *= 1 - 0.24 * depth + 0.12 * shifted(depth, 1, 1)
    sewn = times(fabric, tone)
    thread = np.array(bolt.base, np.float32) * (1.7 if bolt.dark else 0.72)
    sewn = blend(sewn, np.clip(thread, 0, 0.9), stitches * 0.55)
    return _buttoned(sewn, cut, lie, bolt) if len(cut.buttons) else sewn


def _buttoned(sewn: Colours, cut: Cut, lie: Lie, bolt: cloth.Cloth) -> Colours:
    centres, radius = lie.pixels(cut.buttons), 0.030 * float(np.hypot(*lie.turn[:, 0]))
    circle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(circle), np.sin(circle)], axis=1).astype(np.float32)
    discs = filled(*(centre + radius * ring for centre in centres))
    light = filled(*(centre + _SUN * 0.9 + 0.55 * radius * ring for centre in centres))
    holes = filled(*(centre + 0.5 + 0.7 * ring for centre in centres))
    shade = soften(shifted(discs, 1, 1), 0.8)
    face = np.array([0.62, 0.56, 0.46] if bolt.dark else [0.80, 0.78, 0.74], np.float32)
    under = times(sewn, 1 - 0.45 * shade)
    made = blend(under, face, discs)
    made = blend(made, np.clip(face * 1.25, 0, 1), light * 0.7)
    return blend(made, face * 0.35, holes)


def _shade(surface: Folds, inside: Plane) -> Plane:
    """Return how brightly each spot of the cloth is lit: by its slope, its depth and its edge."""
    facing = surface.right * _SUN[0] + surface.down * _SUN[1]
    shade = 1 - 0.62 * facing - 0.14 * np.clip(surface.hollow, -0.8, 1.6)
    rounding = ramp(soften(inside, 2.5), 0.45, 0.95)  # cloth turns down at its edge
    return np.asarray(np.clip(shade, 0.35, 1.4) * (0.80 + 0.20 * rounding), np.float32)


def _shadowed(table: Colours, inside: Plane) -> Colours:
    near, far = soften(shifted(inside, 1, 2), 1.6), soften(shifted(inside, 4, 6), 6)
    dark = 1 - 0.34 * near - 0.30 * far
    return times(table, dark)


def _closed(outline: Points) -> Points:
    return np.concatenate([outline, outline[:1]])
