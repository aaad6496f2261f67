import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burnish.adapters.spool.quarantine import QuarantineSpool
from burnish.adapters.sql.quarantine import SqlQuarantineIndex
from burnish.feedback.model import Backpressure, Rejection

Make = Callable[..., Any]


def rejection(code: str = "unknown_model", body: str = "{}") -> Rejection:
    return Rejection(
        received_at=datetime(2026, 5, 1, 10, tzinfo=UTC),
        code=code,
        detail="why",
        content_type="application/json",
        body=body,
    )


@pytest.fixture(name="make")
def _make(bench: Any) -> Callable[..., QuarantineSpool]:
    def make(**options: Any) -> QuarantineSpool:
        return QuarantineSpool(
            bench.folder / "quarantine",
            bench.objects,
            index=SqlQuarantineIndex(bench.engine),
            reserve=bench.spool.reserve,
            meter=bench.metrics,
            failed=bench.failures.append,
            retry_first_s=0.01,
            **options,
        )

    return make


def kept(bench: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        key: [json.loads(line) for line in bench.objects.get(key).splitlines()]
        for key in bench.objects.list("quarantine/")
    }


def test_what_is_kept_lies_verbatim_under_its_code_and_day(
    bench: Any, make: Make, waited: Make
) -> None:
    quarantine = make()
    given = [rejection(body="{ nope"), rejection("unknown_label"), rejection(body="[]")]
    waited(lambda done: quarantine.keep(given, done))
    quarantine.close(deadline_s=10)
    found = kept(bench)
    folders = {key.rpartition("/")[0]: lines for key, lines in found.items()}
    assert [one["body"] for one in folders["quarantine/unknown_model/dt=2026-05-01"]] == [
        "{ nope",
        "[]",
    ]
    assert folders["quarantine/unknown_label/dt=2026-05-01"][0] == {
        "received_at": "2026-05-01T10:00:00Z",
        "code": "unknown_label",
        "detail": "why",
        "content_type": "application/json",
        "body": "{}",
    }


def test_it_is_kept_locally_while_the_store_is_away_and_by_the_next_process_too(
    bench: Any, make: Make, waited: Make, eventually: Make
) -> None:
    bench.objects.down = True
    quarantine = make()
    waited(lambda done: quarantine.keep([rejection()], done))
    eventually(lambda: bench.objects.attempts > 2)
    quarantine.close(deadline_s=0)
    assert kept(bench) == {}
    bench.objects.down = False
    make().close(deadline_s=10)
    assert len(kept(bench)) == 1
    assert list(Path(bench.folder / "quarantine").rglob("*.ndjson")) == []


def test_a_full_quarantine_pushes_back(bench: Any, make: Make, waited: Make) -> None:
    bench.objects.down = True
    quarantine = make(cap_bytes=1000)
    waited(lambda done: quarantine.keep([rejection(body="x" * 900)], done))
    with pytest.raises(Backpressure):
        quarantine.keep([rejection(body="x" * 900)], lambda _: None)
    quarantine.close(deadline_s=0)
