"""From photo bytes to the array a model sees: one function for training, evaluation and serving."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.kernel.errors import InvalidInput

SIDE: Final = 224  # pixels; the input side of EfficientNet-Lite0
MAX_PIXELS: Final = 50_000_000  # of a photo; a larger one is refused before it is decoded in full
PREPROCESSING: Final = "rgb-area-224-v1"  # names what `decode` does; part of every model artifact


class UnreadableImage(InvalidInput):
    """The bytes are no image that can be decoded."""

    code = "image.unreadable"
