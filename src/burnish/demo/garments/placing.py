"""How a garment comes to lie on the table: turned, shifted, a little out of shape, and folded."""

from typing import Final, NamedTuple

import cv2
import numpy as np

from burnish.demo.garments.cuts import Cut
from burnish.demo.garments.raster import SIDE, Plane, Points, noise, soften

_HALF: Final = SIDE // 2  # folds are broad: half the resolution shows them
_Y, _X = (axis.astype(np.float32) for axis in np.mgrid[0:_HALF, 0:_HALF])
_GRIP: Final = 7.0  # pixels of cloth that a steep fold swallows


class Lie(NamedTuple):
    """Where the points of a garment are in the photo."""

    turn: Points  # [2, 2], garment units to pixels
    middle: Points  # [2], pixels
    sway: Points  # [4, 4]: direction, phase and strength of each bend of the outline

    def pixels(self, points: Points) -> Points:
        """Return where points of the garment are in the photo."""
        bent = points.copy()
        for across, down, phase, strength in self.sway:
            wave = strength * np.sin(points @ np.float32([across, down]) + phase)
            bent += wave[:, None] * np.float32([down, -across]) / np.hypot(across, down)
        return np.asarray(bent @ self.turn.T + self.middle, np.float32)


class Folds(NamedTuple):
    """The surface of the cloth."""

    right: Plane  # its slope to the right; 1 is steep
    down: Plane
    hollow: Plane  # above 0 where light reaches badly, below where it falls freely


def lay(rng: np.random.Generator, cut: Cut) -> Lie:
    """Lay a garment on the table, nearly upright."""
    angle = np.clip(rng.normal(0, 0.12), -0.26, 0.26)
    scale = cut.size * SIDE * rng.uniform(0.94, 1.02)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    sway = np.stack(
        [
            *rng.normal(0, 2.6, (2, 4)),
            rng.uniform(0, 2 * np.pi, 4),
            rng.normal(0, 0.016, 4),
        ],
        axis=1,
    )
    return Lie(
        np.array([[cos, -sin], [sin, cos]], np.float32),
        np.float32(SIDE / 2 + rng.normal(0, 0.018 * SIDE, 2)),
        sway.astype(np.float32),
    )


def folds(rng: np.random.Generator, depth: float) -> Folds:
    """Fold the cloth: a few long bent ridges, some sharp, over a soft unrest."""
    height = noise(rng, 9, _HALF) * np.float32(0.9) + noise(rng, 3.5, _HALF) * np.float32(0.12)
    for _ in range(rng.integers(4, 8)):
        angle = rng.uniform(0, np.pi)
        x, y = rng.uniform(0.15, 0.85, 2) * _HALF
        along = (_X - x) * np.float32(np.cos(angle)) + (_Y - y) * np.float32(np.sin(angle))
        aside = (_Y - y) * np.float32(np.cos(angle)) - (_X - x) * np.float32(np.sin(angle))
        aside += np.float32(rng.normal(0, 0.004)) * along * along
        wide, long = np.exp(rng.uniform(np.log(2.2), np.log(11.0))), rng.uniform(16, 48)
        # One side of a fold falls off faster than the other.
        lean = np.where(aside > 0, np.float32(rng.uniform(0.9, 2.2)), np.float32(1))
        bump = np.exp(-((aside * lean / np.float32(wide)) ** 2) - (along / np.float32(long)) ** 2)
        height += bump * np.float32(rng.choice([-1, 1, 1]) * wide * rng.uniform(0.22, 0.5))
    height *= np.float32(depth)
    right, down = (cv2.Sobel(height, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    hollow = soften(height, 5) - height
    full = [cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for plane in (right, down, hollow)]
    return Folds(full[0], full[1], full[2])


def threads(lie: Lie, surface: Folds) -> Points:
    """Return which spot of the flat cloth each pixel shows, [SIDE, SIDE, 2] in cloth pixels."""
    cos, sin = lie.turn[0, 0], lie.turn[1, 0]
    size = np.float32(np.hypot(cos, sin))
    cos, sin = cos / size, sin / size
    at = np.arange(SIDE, dtype=np.float32)
    x, y = (at - lie.middle[0])[None, :], (at - lie.middle[1])[:, None]
    found = np.empty((SIDE, SIDE, 2), np.float32)
    found[..., 0] = cos * x + sin * y + SIDE / 2 + surface.right * np.float32(_GRIP)
    found[..., 1] = cos * y - sin * x + SIDE / 2 + surface.down * np.float32(_GRIP)
    return found
