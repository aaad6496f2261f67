"""Where photos are taken: the table, the light above it, and the camera."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.demo.garments.raster import SIDE, Colours, Plane, noise, times

_AT: Final = np.arange(SIDE, dtype=np.float32) / SIDE
_QUALITY: Final = 90  # of JPEG
_BOARDS: Final = (0.27, 0.36)  # widths, as shares of the photo


def laminate(rng: np.random.Generator) -> Colours:
    """Return a pale, even table."""
    tone = np.array([0.70, 0.71, 0.72], np.float32) * rng.uniform(0.86, 1.04)
    grain = 1 + 0.014 * noise(rng, 0.8) + 0.008 * noise(rng, 9)
    return _tinted(grain, tone)


def wood(rng: np.random.Generator) -> Colours:
    """Return a table of brown boards."""
    wide = rng.uniform(*_BOARDS) * SIDE
    at = np.arange(SIDE) / wide + rng.uniform(0, 1)
    board, within = np.floor(at).astype(int), at % 1
    tones = rng.uniform(0.82, 1.12, 8)[board]
    gap = np.clip(np.minimum(within, 1 - within) * wide / 1.4, 0.25, 1)
    # Grain runs along the boards: noise, stretched.
    fine = cv2.resize(noise(rng, 1, SIDE)[:, :24], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    broad = cv2.resize(noise(rng, 3.5, SIDE)[:, :48], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    grain = 1 + 0.04 * fine + 0.06 * broad
    shade = grain * (tones * gap)[:, None]
    colour = np.array([0.47, 0.36, 0.27], np.float32) * rng.uniform(0.75, 1.1)
    return _tinted(np.asarray(shade, np.float32), colour)


def even_light(rng: np.random.Generator) -> Colours:
    """Return the light of a lamp panel, as factors."""
    fall = 1 - rng.uniform(0.02, 0.08) * _slope(rng)
    tint = (1 + rng.normal(0, 0.008, 3)).astype(np.float32)
    return _tinted(fall, tint * rng.uniform(0.95, 1.05))


def warm_light(rng: np.random.Generator) -> Colours:
    """Return the light of one warm lamp to a side, as factors: bright there, dim elsewhere."""
    x, y = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.1)
    away = (_AT - x)[None, :] ** 2 + (_AT - y)[:, None] ** 2
    lamp = np.exp(-away * rng.uniform(0.9, 1.7))
    strength = 0.60 + rng.uniform(0.5, 0.7) * lamp
    warm, cool = (1.10, 0.97, 0.78), (0.98, 0.98, 1.02)
    channels = [
        strength * (low + (high - low) * lamp) for low, high in zip(cool, warm, strict=True)
    ]
    return np.asarray(cv2.merge(channels), np.float32)


def photograph(rng: np.random.Generator, scene: Colours) -> bytes:
    """Return a scene as the camera has it: a little soft and noisy, a JPEG file."""
    grain = 1 + rng.uniform(0.008, 0.024) * noise(rng, 0)
    pixels = cv2.convertScaleAbs(times(scene, grain), alpha=255)
    soft = cv2.GaussianBlur(pixels, (3, 3), rng.uniform(0.45, 0.65))
    bgr = cv2.cvtColor(soft, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise RuntimeError("OpenCV encoded no JPEG: was it built without?")
    return bytes(data)


def _tinted(plane: Plane, colour: NDArray[np.float32]) -> Colours:
    return np.asarray(cv2.merge([plane * channel for channel in colour]), np.float32)


def _slope(rng: np.random.Generator) -> Plane:
    """Return a plane that rises from 0 to 1 in some direction."""
    angle = rng.uniform(0, 2 * np.pi)
    slope = math.cos(angle) * _AT[None, :] + math.sin(angle) * _AT[:, None]
    return np.asarray((slope - slope.min()) / (slope.max() - slope.min()), np.float32)
