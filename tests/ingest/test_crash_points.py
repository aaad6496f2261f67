"""At every named point the process is killed; what was answered is there, once, afterwards."""

import http.client
from typing import Any

import pytest

from burnish.adapters.crash import POINTS

QUARANTINE = "ingest.after_quarantine"
OTHERS = [point for point in POINTS if point.startswith("ingest.") and point != QUARANTINE]


@pytest.mark.parametrize("point", OTHERS)
def test_a_kill_at_any_point_loses_and_doubles_nothing(
    stopped: Any, record: Any, point: str
) -> None:
    # Given a record that was answered.
    stopped.start()
    assert stopped.post("/v1/feedback", record(0))[0] == 202
    stopped.process.kill()
    stopped.ended()

    # When the process is killed at the point, while it accepts, ships or deletes.
    stopped.start(crash_at=point)
    answered = {"r-0"}
    try:
        for number in range(1, 5):
            if stopped.post("/v1/feedback", record(number))[0] == 202:
                answered.add(f"r-{number}")
        stopped.post("/v1/seal", b"")
    except (OSError, http.client.HTTPException):
        pass
    assert stopped.ended() == -9

    # Then the client's retries are answered, and the raw log holds each record once, in order.
    stopped.start()
    statuses = {
        f"r-{number}": stopped.post("/v1/feedback", record(number))[0] for number in range(5)
    }
    assert all(statuses[id_] == 200 for id_ in answered)
    assert stopped.post("/v1/seal", b"")[1]["persisted_offset"] == 5
    found = stopped.raw_log()
    assert sorted(one.id for one in found) == [f"r-{number}" for number in range(5)]
    assert [one.offset for one in found] == list(range(5))
    assert stopped.stop() == 0
    assert list((stopped.data / "spool" / "0" / "sealed").iterdir()) == []


def test_a_kill_before_the_answer_leaves_the_rejection_in_quarantine(
    stopped: Any, record: Any
) -> None:
    stopped.start(crash_at=QUARANTINE)
    with pytest.raises((OSError, http.client.HTTPException)):
        stopped.post("/v1/feedback", record(model="face"))
    assert stopped.ended() == -9
    stopped.start()
    assert stopped.stop() == 0
    assert [one["code"] for one in stopped.quarantine()] == ["unknown_model"]
    assert len(list(stopped.objects().list("quarantine/"))) == 1
