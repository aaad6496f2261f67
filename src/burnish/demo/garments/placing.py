"""How a garment comes to lie on the table: turned, shifted, a little out of shape, and folded."""

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.demo.garments.cuts import Cut
from burnish.demo.garments.raster import SIDE, Colours, Plane, Points, noise, soften

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
            wave = strength * np.sin(points @ np.array([across, down], np.float32) + phase)
            bent += wave[:, None] * np.array([down, -across], np.float32) / np.hypot(across, down)
        return np.asarray(bent @ self.turn.T + self.middle, np.float32)


class Folds(NamedTuple):
    """The surface of the cloth."""

    right: Plane  # its slope to the right; 1 is steep
    down: Plane
    hollow: Plane  # above 0 where light reaches badly, below where it falls freely


def lay(rng: np.random.Generator, cut: Cut) -> Lie:
    """Lay a garment on the table, nearly upright."""
    angle = max(-0.26, min(0.26, rng.normal(0, 0.12)))
    scale = cut.size * SIDE * rng.uniform(0.94, 1.02)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
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
        (SIDE / 2 + rng.normal(0, 0.018 * SIDE, 2)).astype(np.float32),
        sway.astype(np.float32),
    )


def folds(rng: np.random.Generator, depth: float) -> Folds:
    """Fold the cloth: a few long bent ridges, some sharp, over a soft unrest."""
    height = noise(rng, 9, _HALF) * 0.9 + noise(rng, 3.5, _HALF) * 0.12
    for _ in range(rng.integers(4, 8)):
        angle = rng.uniform(0, np.pi)
        x, y = rng.uniform(0.15, 0.85) * _HALF, rng.uniform(0.15, 0.85) * _HALF
        along = (_X - x) * math.cos(angle) + (_Y - y) * math.sin(angle)
        aside = (_Y - y) * math.cos(angle) - (_X - x) * math.sin(angle)
        aside += rng.normal(0, 0.004) * along * along
        wide, long = math.exp(rng.uniform(math.log(2.2), math.log(11.0))), rng.uniform(16, 48)
        # One side of a fold falls off faster than the other.
        lean = np.where(aside > 0, rng.uniform(0.9, 2.2), 1)
        bump = np.exp(-((aside * lean / wide) ** 2) - (along / long) ** 2)
        height += bump * ((1 if rng.random() < 2 / 3 else -1) * wide * rng.uniform(0.22, 0.5))
    height *= depth
    right, down = (cv2.Sobel(height, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    hollow = soften(height, 5) - height
    return Folds(_full(right), _full(down), _full(hollow))


def worn(tile: NDArray[np.uint8], lie: Lie, surface: Folds) -> Colours:
    """Return how a flat cloth looks where it lies: turned with the garment and drawn into folds."""
    cos, sin = lie.turn[0, 0], lie.turn[1, 0]
    size = np.hypot(cos, sin)
    cos, sin = cos / size, sin / size
    at = np.arange(SIDE, dtype=np.float32)
    x, y = (at - lie.middle[0])[None, :], (at - lie.middle[1])[:, None]
    found = np.empty((SIDE, SIDE, 2), np.float32)
    found[..., 0] = cos * x + sin * y + SIDE / 2 + surface.right * _GRIP
    found[..., 1] = cos * y - sin * x + SIDE / 2 + surface.down * _GRIP
    drawn = cv2.remap(tile, found, found[:0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.multiply(drawn, 1 / 255, dtype=np.float32)


def _full(plane: object) -> Plane:
    """Return a plane of half the resolution at the full one."""
    half = np.asarray(plane, np.float32)
    return np.asarray(cv2.resize(half, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.float32)
