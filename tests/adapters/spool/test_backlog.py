"""The backlog knows what is left, and how old the oldest of it is, also within what it sums up."""

import time

import pytest

from burnish.adapters.spool.backlog import Backlog

SEAL_S = 60
RATE = 2  # records a second
UPLOAD_S = 1


@pytest.fixture(name="backlog")
def _backlog() -> Backlog:
    backlog = Backlog(high=1 << 30, low=1 << 29, queue=1 << 20)
    backlog.start(persisted=0)
    return backlog


def test_what_is_persisted_in_the_midst_of_a_sum_leaves_the_rest(backlog: Backlog) -> None:
    backlog.add(10, 5000, age_s=30)
    backlog.add(20, 5000, age_s=10)
    assert 30 <= backlog.lag_s() < 31
    backlog.persisted(10)
    assert (backlog.records, backlog.bytes) == (10, 5000)
    assert 20 <= backlog.lag_s() < 21  # between the two: as if all had come evenly
    backlog.persisted(20)
    assert (backlog.records, backlog.bytes, backlog.lag_s()) == (0, 0, 0)


def test_a_trickle_is_sealed_by_age_however_long_uploads_take(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    sealed, oldest = 0, 0.0
    uploading: tuple[int, float] | None = None  # end, when it is done
    for tick in range(1, 1200 * RATE):
        now = tick / RATE
        backlog.add(tick, 500)
        oldest = max(oldest, backlog.lag_s())
        if uploading is not None and now >= uploading[1]:
            backlog.persisted(uploading[0])
            uploading = None
        elif uploading is None and backlog.lag_s() >= SEAL_S:
            uploading, sealed = (tick, now + UPLOAD_S), sealed + 1
    assert 18 <= sealed <= 20
    assert oldest < SEAL_S + 2 * UPLOAD_S + 1
