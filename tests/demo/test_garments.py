"""Given only a name, when a garment is photographed, then it is always the same photo."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from burnish.demo.garments.flaws import FLAWS, Ground
from burnish.demo.garments.photo import Domain, render
from burnish.demo.garments.raster import SIDE
from burnish.imaging import decode, size

ORDERS = list(product([f"photo-{n}" for n in range(12)], Domain, [False, True]))


@pytest.fixture(scope="module")
def photos() -> dict[tuple[str, Domain, bool], bytes]:
    return {(name, domain, bad): render(name, domain, defect=bad) for name, domain, bad in ORDERS}


def brightness(data: bytes) -> float:
    return float(decode(data).mean())


def edges(data: bytes) -> float:
    """How much changes from pixel to pixel: patterns and weaves."""
    return float(np.abs(np.diff(decode(data).astype(np.int16), axis=1)).mean())


def test_the_same_name_gives_the_same_bytes_in_any_thread(
    photos: dict[tuple[str, Domain, bool], bytes],
) -> None:
    with ThreadPoolExecutor(4) as pool:
        again = pool.map(lambda order: render(order[0], order[1], defect=order[2]), ORDERS)
        assert list(again) == list(photos.values())


def test_no_two_photos_are_alike(photos: dict[tuple[str, Domain, bool], bytes]) -> None:
    assert len(set(photos.values())) == len(ORDERS)


def test_every_photo_is_one_that_the_platform_reads(
    photos: dict[tuple[str, Domain, bool], bytes],
) -> None:
    for data in photos.values():
        assert size(data) == (SIDE, SIDE)
        assert decode(data).std() > 10, "a picture, no flat colour"


def test_every_plain_photo_is_brighter_than_most_patterned_ones(
    photos: dict[tuple[str, Domain, bool], bytes],
) -> None:
    bright = {
        domain: [brightness(data) for (_, where, _), data in photos.items() if where is domain]
        for domain in Domain
    }
    assert min(bright[Domain.PLAIN]) > np.percentile(bright[Domain.PATTERNED], 90)


def test_a_flaw_does_not_show_in_brightness_or_texture_alone(
    photos: dict[tuple[str, Domain, bool], bytes],
) -> None:
    for domain, measure in product(Domain, [brightness, edges]):
        good, bad = (
            [
                measure(data)
                for (_, where, defect), data in photos.items()
                if where is domain and defect is wanted
            ]
            for wanted in (False, True)
        )
        assert min(good) < np.median(bad) < max(good)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_a_flaw_changes_a_visible_but_small_part_of_the_cloth(flaw: str, dark: bool) -> None:
    tone = 0.2 if dark else 0.8
    cloth: NDArray[np.float32] = np.full((SIDE, SIDE, 3), tone, np.float32)
    ground = Ground(
        inside=np.ones((SIDE, SIDE), np.float32),
        base=(tone, tone, tone),
        dark=dark,
        table=np.full((SIDE, SIDE, 3), 0.5, np.float32),
    )
    for seed in range(20):
        flawed = FLAWS[flaw](np.random.default_rng(seed), cloth, ground)
        changed = (np.abs(flawed - cloth).max(axis=2) > 0.1).mean()
        assert 0.0005 < changed < 0.08
        assert np.all(cloth == np.float32(tone)), "the cloth itself is left alone"
