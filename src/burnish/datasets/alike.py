"""Photos that show the same picture: a perceptual hash proposes, a comparison of pixels decides.

The hash is the sign of each low frequency of a small grey copy (a DCT, as in Zauner 2010), so that
compression, size and brightness move few of its bits. Photos whose hashes differ in up to `RADIUS`
of 64 bits are proposed. The comparison lays one grey copy over the other, allows a shift of some
pixels and another brightness and contrast, and refuses them if any small area still differs: a
stain on a shirt is no noise.

Of the photos that show one picture, the first stands for all: see `contents`.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 224  # pixels of the photos that come in, RGB
RADIUS: Final = 7  # bits; the index finds every pair up to it
_HASH_BYTES: Final = 8
_BAND_BITS: Final = 16
_BANDS: Final = 4  # two hashes within 7 bits agree in one of four bands but for at most one bit
_HASH_SIDE: Final = 32  # pixels of the copy that is hashed
_WINDOW: Final = 192  # pixels of the photo that it shows
_MARGIN: Final = (SIDE - _WINDOW) // 2
_BESIDE: Final = 4  # pixels, 1.8 % of the side: a hash alone forgives about half of that
_WINDOWS: Final = (
    (0, 0),
    *((d, r) for d in (-_BESIDE, 0, _BESIDE) for r in (-_BESIDE, 0, _BESIDE) if d or r),
)
_FREQUENCIES: Final = 8  # in each direction
_GREY: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_PROBES: Final = (0, *(1 << bit for bit in range(_BAND_BITS)))

_SHADE_SIDE: Final = 112  # pixels of the copies that are compared
_SHIFT: Final = 4  # pixels of these, either way: 3.6 % of the side
_AREA: Final = 7  # pixels: the side of an area that must agree
_TOLERANCE: Final = 9.0  # grey levels of 255 by which an area's mean may differ
_LEAST_CORRELATION: Final = 0.97
_WHITE: Final = 248.0  # grey levels: from here on, and
_BLACK: Final = 5.0  # up to here, a photo does not tell how bright it was
_LEAST_TOLD: Final = 0.25  # of the pixels
_FLAT: Final = 4.0  # grey levels: a photo that varies less shows nothing to be recognised by

Photo = NDArray[np.uint8]  # RGB [224, 224, 3]
Shade = NDArray[np.float32]  # grey [112, 112]
Fingerprint = tuple[int, ...]  # hashes of 64 bits; the first is of the middle


def shade(photo: Photo) -> Shade:
    """Return the grey copy of a photo that is compared."""
    grey = photo.astype(np.float32) @ _GREY
    return _softened(_softened(_reduced(grey, _SHADE_SIDE)))


def fingerprint(photo: Photo) -> Fingerprint:
    """Return a photo's perceptual hashes: of its middle, then of windows a little beside it."""
    grey = photo.astype(np.float32) @ _GREY
    return tuple(_hash(grey, down, right) for down, right in _WINDOWS)


def packed(fingerprint: Fingerprint) -> bytes:
    """Return a fingerprint as bytes."""
    return b"".join(hash_.to_bytes(_HASH_BYTES, "big") for hash_ in fingerprint)


def unpacked(data: bytes) -> Fingerprint:
    """Return the fingerprint that `packed` made.

    >>> unpacked(packed((1, 2**63)))
    (1, 9223372036854775808)
    """
    starts = range(0, len(data), _HASH_BYTES)
    return tuple(int.from_bytes(data[start : start + _HASH_BYTES], "big") for start in starts)


def same_picture(one: Shade, other: Shade) -> bool:
    """Tell whether two grey copies show the same picture; symmetric."""
    flat = float(one.std()) < _FLAT, float(other.std()) < _FLAT
    if any(flat):
        return all(flat) and abs(float(one.mean() - other.mean())) < _TOLERANCE
    return any(_agree(a, b) for a, b in _overlaps(one, other))


class HashIndex:
    """Fingerprints by which near ones are found without looking at the others.

    Two photos are near if the middle of one is within `RADIUS` bits of the middle of the other, or
    of a window beside it. A hash lies in four tables, one for each 16 of its bits. Within `RADIUS`
    bits of each other, two hashes agree in one of these bands but for at most one bit: so 4 x 17
    look-ups find all of them.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._middles = _Table()
        self._windows = _Table()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, fingerprint: Fingerprint, name: str) -> None:
        """Put a photo in."""
        number = len(self._names)
        self._names.append(name)
        self._middles.add(fingerprint[0], number)
        for hash_ in fingerprint:
            self._windows.add(hash_, number)

    def near(self, fingerprint: Fingerprint) -> list[str]:
        """Return the names of the photos that are near, each once, the first put in first."""
        found = self._windows.near(fingerprint[0])
        for hash_ in fingerprint[1:]:
            found |= self._middles.near(hash_)
        return [self._names[number] for number in sorted(found)]


class _Table:
    """Hashes in four tables of bands, in a few bytes each."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._owners = array("L")
        self._bands = [defaultdict[int, "array[int]"](partial(array, "L")) for _ in range(_BANDS)]

    def add(self, hash_: int, owner: int) -> None:
        for band, value in zip(self._bands, _split(hash_), strict=True):
            band[value].append(len(self._hashes))
        self._hashes.append(hash_)
        self._owners.append(owner)

    def near(self, hash_: int) -> set[int]:
        hashes, found = self._hashes, set[int]()
        for band, value in zip(self._bands, _split(hash_), strict=True):
            for probe in _PROBES:
                for place in band.get(value ^ probe, ()):
                    if (hashes[place] ^ hash_).bit_count() <= RADIUS:
                        found.add(self._owners[place])
        return found


def _split(hash_: int) -> list[int]:
    mask = (1 << _BAND_BITS) - 1
    return [hash_ >> (_BAND_BITS * number) & mask for number in range(_BANDS)]


def _hash(grey: NDArray[np.float32], down: int, right: int) -> int:
    """Hash the window that lies so many pixels beside the middle."""
    top, left = _MARGIN + down, _MARGIN + right
    window = _reduced(grey[top : top + _WINDOW, left : left + _WINDOW], _HASH_SIDE)
    low = (_COSINES @ window @ _COSINES.T).ravel()
    low[0] = 0  # the mean is brightness
    bits = np.packbits(low > np.median(low[1:]))
    return int.from_bytes(bits.tobytes(), "big")


def _reduced(grey: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    factor = grey.shape[0] // side
    return np.asarray(grey.reshape(side, factor, side, factor).mean(axis=(1, 3)), np.float32)


def _softened(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur by 3 x 3, so that a shift by half a pixel leaves little behind."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9, np.float32)


def _cosines() -> NDArray[np.float32]:
    """Return the rows of a DCT-II that hold the low frequencies."""
    places = (2 * np.arange(_HASH_SIDE) + 1) * np.pi / (2 * _HASH_SIDE)
    rows = np.cos(np.outer(np.arange(_FREQUENCIES), places))
    return np.asarray(rows, np.float32)


_COSINES: Final = _cosines()


def _overlaps(one: Shade, other: Shade) -> Iterator[tuple[Shade, Shade]]:
    """Yield what two copies have in common at each shift, the smallest shifts first."""
    shifts = range(-_SHIFT, _SHIFT + 1)
    for down, right in sorted(((d, r) for d in shifts for r in shifts), key=_length):
        yield _part(one, down, right), _part(other, -down, -right)


def _length(shift: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    return shift[0] ** 2 + shift[1] ** 2, shift


def _part(image: Shade, down: int, right: int) -> Shade:
    height, width = image.shape
    return image[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]


def _agree(one: Shade, other: Shade) -> bool:
    """Tell whether two overlays are equal but for brightness and contrast, in every area."""
    told = _told(one) & _told(other)
    if told.mean() < _LEAST_TOLD:
        return False
    means = float(one[told].mean()), float(other[told].mean())
    a, b = one - means[0], other - means[1]
    spread = float(a[told].std()), float(b[told].std())
    if min(spread) < _FLAT:
        return False
    product = spread[0] * spread[1]
    if float((a[told] * b[told]).mean()) < _LEAST_CORRELATION * product:
        return False
    middle = product**0.5  # both are brought to it: no one is the measure
    residual = a * (middle / spread[0]) - b * (middle / spread[1])
    # What was clipped may have been anything beyond.
    residual[((one >= _WHITE) | (other <= _BLACK)) & (residual < 0)] = 0
    residual[((other >= _WHITE) | (one <= _BLACK)) & (residual > 0)] = 0
    height, width = (length // _AREA * _AREA for length in residual.shape)
    areas = residual[:height, :width].reshape(height // _AREA, _AREA, width // _AREA, _AREA)
    return bool(np.abs(areas.mean(axis=(1, 3))).max() < _TOLERANCE)


def _told(image: Shade) -> NDArray[np.bool_]:
    """Return where a copy is neither clipped to white nor to black."""
    return (image < _WHITE) & (image > _BLACK)
