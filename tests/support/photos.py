"""Photos that look like photos, and copies of them as they come out of other people's hands."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.demo.garments.photo import Domain, render

Pixels = NDArray[np.uint8]

WIDTH: Final = 640
HEIGHT: Final = 480


@cache
def photo(number: int) -> bytes:
    """Return a photo that no other number has."""
    return jpeg(pixels(number), 92)


@cache
def pixels(number: int) -> Pixels:
    domains = list(Domain)
    data = render(f"photo-{number}", domains[number % len(domains)], defect=number % 2 == 1)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.resize(found, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(image: NDArray[Any], quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def png(image: NDArray[Any]) -> bytes:
    done, data = cv2.imencode(".png", image)
    assert done
    return data.tobytes()


def recompressed(image: Pixels) -> bytes:
    return jpeg(image, 35)


def resized(image: Pixels) -> bytes:
    return jpeg(cv2.resize(image, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA), 85)


def brightened(image: Pixels) -> bytes:
    return jpeg(np.clip(image * 1.06 + 8, 0, 255).astype(np.uint8), 85)


def shifted(image: Pixels) -> bytes:
    move = np.array([[1, 0, 6], [0, 1, -5]], np.float32)
    return jpeg(cv2.warpAffine(image, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), 85)


def all_at_once(image: Pixels) -> bytes:
    move = np.array([[1, 0, -4], [0, 1, 3]], np.float32)
    moved = cv2.warpAffine(image, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    dimmed = np.clip(moved * 0.95 + 4, 0, 255).astype(np.uint8)
    return jpeg(cv2.resize(dimmed, (480, 360), interpolation=cv2.INTER_AREA), 60)


HANDS: Final[dict[str, Callable[[Pixels], bytes]]] = {
    "recompressed": recompressed,
    "resized": resized,
    "brightened": brightened,
    "shifted": shifted,
    "all at once": all_at_once,
}
