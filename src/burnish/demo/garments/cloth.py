"""What garments are made of: a weave or knit, a dyed pattern, and a colour.

A cloth is a flat picture that lies on the garment's own coordinates, so its threads and stripes
follow where the garment is turned and folded. Threads run along the axes, which makes almost every
texture a product of two short profiles.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.demo.garments.raster import SIDE, Colour, Plane, noise

TILE: Final = SIDE  # pixels; a cloth wraps around beyond, at the far corners only
_TAU: Final = math.tau
_GRID: Final = np.arange(TILE, dtype=np.float32)


class Cloth(NamedTuple):
    """One bolt of cloth."""

    tile: NDArray[np.uint8]  # [TILE, TILE, 3] RGB
    base: Colour
    dark: bool  # stains on dark cloth are lighter than it


PLAIN_DYES: Final[tuple[Colour, ...]] = (
    (0.90, 0.89, 0.86), (0.86, 0.83, 0.75), (0.72, 0.80, 0.87), (0.88, 0.77, 0.77),
    (0.75, 0.84, 0.77), (0.78, 0.78, 0.80), (0.88, 0.84, 0.68), (0.80, 0.76, 0.86),
)  # fmt: skip
DARK_DYES: Final[tuple[tuple[Colour, Colour], ...]] = (
    ((0.16, 0.20, 0.33), (0.62, 0.66, 0.74)), ((0.40, 0.13, 0.16), (0.78, 0.68, 0.56)),
    ((0.14, 0.28, 0.22), (0.66, 0.68, 0.52)), ((0.22, 0.22, 0.24), (0.62, 0.60, 0.58)),
    ((0.20, 0.30, 0.44), (0.80, 0.80, 0.78)), ((0.42, 0.28, 0.16), (0.76, 0.66, 0.48)),
    ((0.30, 0.18, 0.34), (0.70, 0.58, 0.70)), ((0.12, 0.30, 0.36), (0.80, 0.56, 0.36)),
)  # fmt: skip


def plain(rng: np.random.Generator, *, terry: bool) -> Cloth:
    """Weave a light cotton of one colour; now and then with a faint stripe."""
    base = _dye(rng, PLAIN_DYES[rng.integers(len(PLAIN_DYES))])
    faint = 0.35 if rng.random() < 0.2 else 0.0  # noqa: PLR2004
    second = tuple(channel * 0.82 for channel in base)
    pattern = _stripes(rng, rng.uniform(9, 22)) * faint
    weave = "terry" if terry else str(rng.choice(["plain", "knit"]))
    return _woven(rng, base, (second[0], second[1], second[2]), pattern, weave, dark=False)


def patterned(rng: np.random.Generator, *, terry: bool) -> Cloth:
    """Weave a dark cloth with a contrasting pattern; a few are of one colour, like denim."""
    base, second = DARK_DYES[rng.integers(len(DARK_DYES))]
    name = str(rng.choice(list(_PATTERNS)))
    period = rng.uniform(10, 26)
    pattern = _PATTERNS[name](rng, period) * rng.uniform(0.30, 0.60)
    weave = "terry" if terry else str(rng.choice(["plain", "knit", "twill"]))
    return _woven(rng, _dye(rng, base), _dye(rng, second), pattern, weave, dark=True)


def _dye(rng: np.random.Generator, colour: Colour) -> Colour:
    """Return the colour as this bath gave it."""
    red, green, blue = np.clip(
        np.array(colour) * rng.uniform(0.94, 1.05) + rng.normal(0, 0.012, 3), 0, 1
    )
    return float(red), float(green), float(blue)


def _woven(
    rng: np.random.Generator,
    base: Colour,
    second: Colour,
    pattern: Plane,
    weave: str,
    *,
    dark: bool,
) -> Cloth:
    threads = _WEAVES[weave](rng) * (1.5 if dark else 1.0)  # raised threads catch light
    bright = (1 + threads) * 255
    channels = [
        (low + pattern * (high - low)) * bright for low, high in zip(base, second, strict=True)
    ]
    return Cloth(np.asarray(cv2.convertScaleAbs(cv2.merge(channels)), np.uint8), base, dark)


# --- patterns: the share of the second colour, 0..1


def _bands(period: float, share: float, phase: float = 0.0) -> NDArray[np.float32]:
    """Return a soft-edged square wave along one axis; `share` of each period is 1."""
    at = (_GRID / period + phase) % 1
    edge = 0.7 / period  # a thread's width
    return np.asarray(np.clip((share / 2 - np.abs(at - 0.5)) / edge + 0.5, 0, 1), np.float32)


def _stripes(rng: np.random.Generator, period: float) -> Plane:
    along = _bands(period, rng.uniform(0.15, 0.5))
    return _across(along) if rng.random() < 0.5 else _across(along).T  # noqa: PLR2004


def _across(profile: NDArray[np.float32]) -> Plane:
    return np.broadcast_to(profile, (TILE, TILE))


def _gingham(_rng: np.random.Generator, period: float) -> Plane:
    one = _bands(period, 0.5)
    return np.asarray((one[:, None] + one[None, :]) / 2, np.float32)


def _tartan(rng: np.random.Generator, period: float) -> Plane:
    period *= 1.9
    lines = np.maximum(_bands(period, 0.3) * 0.45, _bands(period, 0.05, 0.42))
    if rng.random() < 0.5:  # noqa: PLR2004
        lines = np.maximum(lines, _bands(period, 0.05, 0.58))
    return np.asarray((lines[:, None] + lines[None, :]) / 1.5, np.float32)


def _dots(_rng: np.random.Generator, period: float) -> Plane:
    wave = np.cos(_TAU * _GRID / (period * 1.4))
    return np.asarray(np.clip((wave[:, None] * wave[None, :] - 0.55) * 6, 0, 1), np.float32)


def _herringbone(_rng: np.random.Generator, period: float) -> Plane:
    zigzag = np.abs((_GRID / period % 1) - 0.5) * (2 * period)
    wave = np.sin(_TAU * (zigzag[None, :] + _GRID[:, None]) / 5)
    return np.asarray(0.3 + 0.3 * wave, np.float32)


def _none(_rng: np.random.Generator, _period: float) -> Plane:
    return np.zeros((TILE, TILE), np.float32)


_PATTERNS: Final[Mapping[str, Callable[[np.random.Generator, float], Plane]]] = {
    "stripes": _stripes,
    "gingham": _gingham,
    "tartan": _tartan,
    "dots": _dots,
    "herringbone": _herringbone,
    "plain": _none,
    "denim": _none,  # twice, so that a third of all cloths have no pattern
}


# --- weaves: how much brighter a spot is than the cloth's average


def _plain_weave(rng: np.random.Generator) -> Plane:
    wave = np.sin(_TAU * _GRID / 3.4)
    slub = noise(rng, 1.5)[0]  # some threads are thicker than others
    grid = 0.05 * wave[:, None] * wave[None, :] + 0.018 * (slub[:, None] + slub[None, ::-1])
    return np.asarray(grid, np.float32)


def _knit(_rng: np.random.Generator) -> Plane:
    column = np.abs((_GRID / 5 % 1) - 0.5) * 2  # each column is a chain of Vs
    wave = np.sin(_TAU * (_GRID[:, None] / 4.2 + 0.45 * column[None, :]))
    return np.asarray(0.055 * wave - 0.05 * (column > 0.85)[None, :], np.float32)  # noqa: PLR2004


def _twill(rng: np.random.Generator) -> Plane:
    wave = np.sin(_TAU * (_GRID[:, None] + _GRID[None, :]) / 4.6)
    slub = noise(rng, 1.5)[0]
    return np.asarray(0.06 * wave + 0.03 * slub[None, :], np.float32)


def _terry(rng: np.random.Generator) -> Plane:
    loops = np.sin(_TAU * _GRID / 4)[:, None]
    return np.asarray(0.032 * noise(rng, 0.8) + 0.03 * loops, np.float32)


_WEAVES: Final[Mapping[str, Callable[[np.random.Generator], Plane]]] = {
    "plain": _plain_weave,
    "knit": _knit,
    "twill": _twill,
    "terry": _terry,
}
