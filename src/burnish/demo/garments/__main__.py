"""Draw the contact sheet of the documentation: `python -m burnish.demo.garments FILE.png`."""

import sys
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.demo.garments.photo import Domain, render

HALF: Final = 4  # photos on each side of a row: good ones to the left, flawed ones to the right
SIDE: Final = 152  # pixels of a photo on the sheet
GAP: Final = 4  # pixels between photos; four times as many between the sides
STEP: Final = 4  # between the tones that are left: not to be seen, and half the file

Pixels = NDArray[np.uint8]


def sheet() -> Pixels:
    """Return a row of each domain as BGR pixels."""
    rows = [_row(domain) for domain in Domain]
    return _joined(rows, [GAP], axis=0)


def _row(domain: Domain) -> Pixels:
    photos = [_photo(domain, column) for column in range(2 * HALF)]
    gaps = [4 * GAP if column == HALF else GAP for column in range(1, 2 * HALF)]
    return _joined(photos, gaps, axis=1)


def _photo(domain: Domain, column: int) -> Pixels:
    data = render(f"starch-{column}", domain, defect=column >= HALF)
    photo = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    small = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small // STEP * STEP + STEP // 2, np.uint8)


def _joined(parts: list[Pixels], gaps: list[int], *, axis: int) -> Pixels:
    """Put parts side by side, white between them."""
    found = parts[:1]
    for part, gap in zip(parts[1:], gaps, strict=True):
        shape = list(part.shape)
        shape[axis] = gap
        found += [np.full(shape, 255, np.uint8), part]
    return np.concatenate(found, axis=axis)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], sheet(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
