"""What every layer of the picture is made from: planes of numbers, noise and soft brushes."""

from functools import cache
from itertools import accumulate
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE: Final = 256  # pixels of a photo's side
Plane = NDArray[np.floating]  # float32 [SIDE, SIDE], mostly 0..1
Colours = NDArray[np.floating]  # float32 [SIDE, SIDE, 3] RGB, 0..1
Points = NDArray[np.floating]  # float32 [n, 2]: x to the right, y down
Colour = tuple[float, float, float]  # RGB, 0..1

_BANK: Final = 512  # side of the noise that photos cut their pieces from
_COARSE: Final = 4.0  # pixels; a wider blur is as good at a quarter of the resolution
_SHIFT: Final = 4  # OpenCV draws at sixteenths of a pixel


@cache
def _bank(sigma: float) -> Plane:
    """Return noise of one coarseness, mean 0 and deviation 1; made once, as it is slow to make."""
    white = np.random.default_rng(round(sigma * 100)).standard_normal((_BANK, _BANK), np.float32)
    if sigma <= 0:
        return white
    pad = min(_BANK, round(4 * sigma))  # wrapped, so that blurring sees no border
    wide = np.pad(white, pad, mode="wrap")
    soft = cv2.GaussianBlur(wide, (0, 0), sigma)[pad:-pad, pad:-pad]
    return np.asarray(soft / soft.std(), np.float32)


def noise(rng: np.random.Generator, sigma: float, side: int = SIDE) -> Plane:
    """Return a square of noise with blobs of about `sigma` pixels, mean 0 and deviation 1."""
    y, x = rng.integers(0, _BANK - side, 2)
    piece = _bank(sigma)[y : y + side, x : x + side]
    return piece[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]  # noqa: PLR2004


def ramp(plane: Plane, low: float, high: float) -> Plane:
    """Return 0 below `low`, 1 above `high` and a smooth rise between; `low` may be the greater."""
    share = np.clip((plane - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def soften(plane: Plane, sigma: float) -> Plane:
    """Return the plane, blurred."""
    if sigma < _COARSE:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    small = cv2.resize(plane, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(soft, plane.shape[::-1], interpolation=cv2.INTER_LINEAR))


def filled(*outlines: Points) -> Plane:
    """Return 1 inside polygons of pixels, 0 outside, and their smoothed edges between."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for outline in outlines:  # one by one: together, OpenCV would leave overlaps out
        cv2.fillPoly(canvas, [_fixed(outline)], 255, cv2.LINE_AA, _SHIFT)
    return _unit(canvas)


def stroke(lines: list[Points], width: float = 1.0) -> Plane:
    """Return open lines of pixels, drawn with a pen; a width below 1 draws fainter."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    strength = round(255 * min(1.0, width))
    cv2.polylines(
        canvas,
        _split(_fixed(np.concatenate(lines)), lines),
        isClosed=False,
        color=strength,
        thickness=max(1, round(width)),
        lineType=cv2.LINE_AA,
        shift=_SHIFT,
    )
    return _unit(canvas)


def blend(under: Colours, over: Colour | Colours, share: Plane) -> Colours:
    """Return `under` with `over` laid on it where `share` says how opaquely."""
    done, top = under.copy(), np.asarray(over, np.float32)
    rows, columns = (np.flatnonzero(share.max(axis=axis)) for axis in (1, 0))
    if len(rows):  # most things are small: the rest of the picture need not be touched
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        piece = done[box]
        change = (top[box] if top.ndim == under.ndim else top) - piece
        change *= share[box][..., None]
        piece += change
    return done


def times(colours: Colours, factor: Plane) -> Colours:
    """Return the colours, each spot by its factor brighter."""
    return np.asarray(cv2.multiply(colours, cv2.merge((factor, factor, factor))), np.float32)


def shifted(plane: Plane, right: int, down: int) -> Plane:
    """Return the plane moved by so many pixels, 1 or more each; zeros come in."""
    moved = np.zeros_like(plane)
    moved[down:, right:] = plane[:-down, :-right]
    return moved


def _unit(canvas: NDArray[np.uint8]) -> Plane:
    return np.multiply(canvas, 1 / 255, dtype=np.float32)


def _split(joined: NDArray[np.int32], lines: list[Points]) -> list[NDArray[np.int32]]:
    """Cut joined lines apart; converted together, thousands of stitches take no time."""
    ends = list(accumulate(len(line) for line in lines))
    return [joined[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.round(points * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
