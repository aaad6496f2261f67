"""From photo bytes to the array a model sees: one function for training, evaluation and serving."""

import struct
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.kernel.errors import InvalidInput

SIDE: Final = 224  # pixels; the input side of EfficientNet-Lite0
MAX_PIXELS: Final = 50_000_000  # of a photo; a larger one is refused before it is decoded in full
PREPROCESSING: Final = "rgb-area-224-v1"  # names what `decode` does; part of every model artifact

_FIX: Final = "send a whole JPEG, PNG or WebP photo of at most 50 megapixels"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_MARKER: Final = 0xFF  # opens every segment, and fills the space between two
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers that no length follows
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those that hold a size
# libjpeg can halve while it decodes; each scale is exact enough to leave the area filter its work.
_REDUCED: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


class UnreadableImage(InvalidInput):
    """The bytes are no image that can be decoded."""

    code = "image.unreadable"


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return a photo as RGB [224, 224, 3], turned upright by its EXIF orientation.

    The whole photo is squeezed into the square, by area averaging. Grey photos become three equal
    channels, transparency is dropped. The same bytes give the same array on every machine role.

    Raises UnreadableImage if the bytes are no JPEG, PNG or WebP, are cut short, or if the photo
    has more than MAX_PIXELS pixels (told from its header, before any memory is spent on it).
    """
    try:
        width, height = size(data)
    except (struct.error, IndexError):
        raise UnreadableImage(f"The image ends inside its header: {_FIX}.") from None
    if not 0 < width * height <= MAX_PIXELS:
        raise UnreadableImage(f"The image is {width} x {height} pixels: {_FIX}.")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _flags(data, min(width, height)))
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UnreadableImage(f"The image cannot be decoded: {_FIX}.")
    square = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels as the header states them, without decoding.

    Raises UnreadableImage for another format, struct.error or IndexError if the header is cut.
    """
    if data.startswith(_PNG):
        return _png_size(data)
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    raise UnreadableImage(f"The {len(data)} bytes are no JPEG, PNG or WebP image: {_FIX}.")


def _flags(data: bytes, shorter: int) -> int:
    """Choose the smallest decode that still leaves at least SIDE pixels on the shorter side."""
    if data.startswith(_JPEG):
        for factor, flag in _REDUCED:
            if shorter >= factor * SIDE:
                return flag
    return cv2.IMREAD_COLOR


def _png_size(data: bytes) -> tuple[int, int]:
    """Read the IHDR chunk, which comes first; refuse a file without its IEND chunk."""
    width, height = struct.unpack_from(">II", data, 16)
    if data.rfind(b"IEND") < 0:
        raise UnreadableImage(f"The PNG image is cut short: {_FIX}.")
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header; refuse a photo whose end marker is missing.

    The end marker is looked for after the frame header, because an embedded thumbnail, which lies
    before it, has one of its own. The decoder itself would fill the missing part with grey.
    """
    at = 2
    while True:
        if data[at] != _JPEG_MARKER:
            raise UnreadableImage(f"The JPEG image has a broken header: {_FIX}.")
        marker = data[at + 1]
        if marker == _JPEG_MARKER:  # a fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            if data.rfind(_JPEG_END) < at:
                raise UnreadableImage(f"The JPEG image is cut short: {_FIX}.")
            return width, height
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read the size from whichever of the three kinds of WebP comes first."""
    kind = data[12:16]
    if kind == b"VP8 ":  # lossy: 14 bits each, after the frame tag and start code
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":  # lossless: two 14-bit fields, each less one
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":  # extended: two 24-bit fields, each less one
        fields = struct.unpack_from("<HBHB", data, 24)
        return (fields[0] | fields[1] << 16) + 1, (fields[2] | fields[3] << 16) + 1
    raise UnreadableImage(f"The WebP image has an unknown kind of content {kind!r}: {_FIX}.")
