"""Photos with as much detail as a camera's."""

import cv2
import numpy as np

WIDTH, HEIGHT = 1280, 960
_GRAIN = 6  # grey levels, standard deviation
_QUALITY = 85


def drawn(rng: np.random.Generator) -> bytes:
    """Return a JPEG of a scene that no other draw shows."""
    coarse = rng.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3)).astype(np.uint8)
    scene = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image = np.clip(scene + rng.normal(0, _GRAIN, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
