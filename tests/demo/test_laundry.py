"""Given the rendered story, when its photos are dealt out, then each plays one part, always."""

from collections import Counter

import pytest

from burnish.demo import laundry
from burnish.demo.album import Album
from burnish.demo.garments.photo import Domain
from burnish.demo.laundry import DRIFTING, Rendered


@pytest.fixture(scope="module")
def album() -> Album:
    return laundry.album()


def rendered(album: Album, part: str) -> list[Rendered]:
    photos = getattr(album, part)
    assert all(isinstance(photo, Rendered) for photo in photos)
    return list(photos)


def test_no_photo_plays_two_parts(album: Album) -> None:
    parts = [album.first, album.holdout, album.stream, album.passers]
    names = [photo.name for part in parts for photo in part]
    assert len(names) == len(set(names))


def test_the_same_seed_deals_the_same() -> None:
    assert laundry.album(7) == laundry.album(7)
    assert laundry.album(7) != laundry.album(8)


def test_the_first_model_sees_plain_garments_and_the_holdout_as_many_of_both(album: Album) -> None:
    assert Counter((photo.domain, photo.label) for photo in rendered(album, "first")) == {
        (Domain.PLAIN, "good"): 60,
        (Domain.PLAIN, "defect"): 60,
    }
    counts = Counter((photo.domain, photo.label) for photo in rendered(album, "holdout"))
    assert len(counts) == 4
    assert set(counts.values()) == {60}


def test_the_stream_drifts_to_patterned_garments_and_then_stays_mixed(album: Album) -> None:
    stream = rendered(album, "stream")
    assert {photo.label for photo in stream} == set(album.labels)

    def share(start: int, end: int) -> float:
        part = stream[start:end]
        return sum(photo.domain is Domain.PATTERNED for photo in part) / len(part)

    third = DRIFTING // 3
    assert share(0, third) < 0.35
    assert 0.35 < share(third, 2 * third) < 0.65
    assert share(2 * third, DRIFTING) > 0.65
    assert 0.4 < share(DRIFTING, len(stream)) < 0.6


def test_three_rounds_and_more_find_enough_photos(album: Album) -> None:
    assert len(album.stream) > 3 * (album.pace.arrivals + 2 * album.pace.more)
    assert album.pace.looks <= album.pace.arrivals


def test_the_screen_says_that_nothing_here_is_real(album: Album) -> None:
    assert all("synthetic" in sentence for sentence in album.cast)


def test_a_photo_reads_the_same_each_time_and_shows_its_flaw(album: Album) -> None:
    photo = rendered(album, "stream")[0]
    other = Rendered(
        name=photo.name,
        label="good" if photo.label == "defect" else "defect",
        domain=photo.domain,
    )
    assert photo.read() == photo.read()
    assert photo.read() != other.read()
