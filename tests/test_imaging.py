import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from burnish.imaging import MAX_PIXELS, SIDE, UnreadableImage, decode, size

Image = NDArray[np.integer[Any]]

RED = (0, 0, 255)  # OpenCV's order: blue, green, red
FORMATS = {
    "jpeg": (".jpg", []),
    "progressive": (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "png": (".png", []),
    "webp lossy": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
    "webp lossless": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
}
formats = pytest.mark.parametrize("name", FORMATS)


def encoded(name: str, pixels: Image) -> bytes:
    suffix, options = FORMATS[name]
    done, data = cv2.imencode(suffix, pixels, options)
    assert done
    return data.tobytes()


def scene(width: int, height: int, channels: int = 3) -> Image:
    coarse = np.random.default_rng(7).integers(0, 256, (9, 9, channels)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@formats
def test_every_format_becomes_rgb_of_one_size(name: str) -> None:
    image = decode(encoded(name, np.full((50, 80, 3), RED, np.uint8)))
    assert (image.shape, image.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png"])  # WebP knows no grey
def test_a_grey_photo_becomes_three_equal_channels(name: str) -> None:
    image = decode(encoded(name, scene(300, 300, 1)))
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 1] == image[..., 2]).all()


def test_transparency_and_depth_are_dropped() -> None:
    opaque = scene(64, 64)
    clear = np.dstack([opaque, np.zeros((64, 64), np.uint8)])
    deep = opaque.astype(np.uint16) * 257
    assert (decode(encoded("png", clear)) == decode(encoded("png", opaque))).all()
    assert (decode(encoded("png", deep)) == decode(encoded("png", opaque))).all()


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), width=st.integers(1, 400), height=st.integers(1, 400))
def test_the_header_tells_the_size(name: str, width: int, height: int) -> None:
    assert size(encoded(name, scene(width, height))) == (width, height)


def test_the_size_of_an_extended_webp_is_read() -> None:
    header = b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0)
    assert size(header + (1919).to_bytes(3, "little") + (1079).to_bytes(3, "little")) == (
        1920,
        1080,
    )


@pytest.mark.parametrize(("width", "height"), [(449, 500), (1000, 900), (2000, 1800)])
def test_a_large_jpeg_decoded_small_looks_as_if_decoded_in_full(width: int, height: int) -> None:
    data = encoded("jpeg", scene(width, height))
    full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    expected = cv2.resize(full, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert np.abs(decode(data).astype(int) - expected).mean() < 1


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    data = encoded("jpeg", np.vstack([np.zeros((50, 99, 3), np.uint8), scene(99, 50) | 128]))
    rotated_90 = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + rotated_90 + bytes(4)
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert decode(data)[:80].max() < 40
    assert decode(turned)[:, -80:].max() < 40


def test_a_photo_of_too_many_pixels_is_refused_by_its_header() -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", MAX_PIXELS, 2) + b"IEND"
    with pytest.raises(UnreadableImage, match=r"50000000 x 2 pixels: send .* 50 megapixels"):
        decode(header)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), share=st.floats(0, 0.99))
def test_a_photo_cut_short_is_refused(name: str, share: float) -> None:
    data = encoded(name, scene(120, 90))
    with pytest.raises(UnreadableImage, match="send a whole"):
        decode(data[: int(len(data) * share)])


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "]),
    rest=st.binary(max_size=80),
)
def test_no_bytes_raise_anything_else(start: bytes, rest: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode(start + rest)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), at=st.floats(0, 0.999), value=st.integers(0, 255))
def test_a_damaged_photo_is_decoded_or_refused(name: str, at: float, value: int) -> None:
    data = bytearray(encoded(name, scene(60, 60)))
    data[int(len(data) * at)] = value
    try:
        assert decode(bytes(data)).shape == (SIDE, SIDE, 3)
    except UnreadableImage as refused:
        assert "send a whole" in refused.detail  # noqa: PT017 - both outcomes are allowed


def test_the_same_bytes_give_the_same_array_in_every_thread() -> None:
    data = encoded("jpeg", scene(1500, 1100))
    with ThreadPoolExecutor(4) as threads:
        images = list(threads.map(decode, [data] * 12))
    assert all((image == images[0]).all() for image in images)
