"""Copies of a photo are recognised whatever was done to them, and other photos are not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.datasets.alike import (
    RADIUS,
    HashIndex,
    Photo,
    fingerprint,
    packed,
    same_picture,
    shade,
    unpacked,
)
from burnish.imaging import decode
from support.photos import HANDS, photo, pixels

hashes = st.integers(0, 2**64 - 1)


def alike(one: Photo, other: Photo) -> bool:
    index = HashIndex()
    index.add(fingerprint(one), "one")
    return bool(index.near(fingerprint(other))) and same_picture(shade(one), shade(other))


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("number", range(8))
def test_a_copy_is_recognised(hand: str, number: int) -> None:
    original, copy = decode(photo(number)), decode(HANDS[hand](pixels(number)))
    assert alike(original, copy)
    assert alike(copy, original)


def test_other_photos_are_not_taken_for_copies() -> None:
    photos = [decode(photo(number)) for number in range(30)]
    assert not any(
        same_picture(shade(one), shade(other))
        for at, one in enumerate(photos)
        for other in photos[:at]
    )


@pytest.mark.parametrize("number", range(8))
def test_a_stain_makes_another_picture(number: int) -> None:
    clean = decode(photo(number))
    stained = clean.copy()
    cv2.circle(stained, (112, 118), 12, [int(one) // 2 for one in clean[118, 112]], -1)
    assert fingerprint(clean) is not None
    assert not same_picture(shade(clean), shade(stained))


def test_flat_photos_are_the_same_only_if_they_are_as_bright() -> None:
    white, grey = (np.full((224, 224, 3), level, np.uint8) for level in (250, 120))
    assert same_picture(shade(white), shade(white))
    assert not same_picture(shade(white), shade(grey))
    assert not same_picture(shade(white), shade(decode(photo(0))))


@settings(max_examples=200)
@given(hash_=hashes, flipped=st.sets(st.integers(0, 63), max_size=RADIUS), others=st.lists(hashes))
def test_every_hash_within_the_radius_is_found(
    hash_: int, flipped: set[int], others: list[int]
) -> None:
    index = HashIndex()
    for number, other in enumerate(others):
        index.add((other,), f"other-{number}")
    index.add((hash_,), "it")
    asked = hash_ ^ sum(1 << bit for bit in flipped)
    found = index.near((asked,))
    assert "it" in found
    expected = {f"other-{n}" for n, one in enumerate(others) if (one ^ asked).bit_count() <= RADIUS}
    assert set(found) == expected | {"it"}


@given(st.tuples(hashes, hashes))
def test_a_window_beside_counts_from_either_photo(pair: tuple[int, int]) -> None:
    for one, other in (((pair[0],), pair), (pair, (pair[1], pair[0]))):
        first, second = HashIndex(), HashIndex()
        first.add(one, "x")
        second.add(other, "x")
        assert bool(first.near(other)) == bool(second.near(one))


@given(st.lists(hashes, min_size=1).map(tuple))
def test_a_fingerprint_survives_its_bytes(found: tuple[int, ...]) -> None:
    assert unpacked(packed(found)) == found
