"""Contracts of `feedback.ports.QuarantineIndex` and `QuarantineStore`."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from burnish.adapters.sql.quarantine import SqlQuarantineIndex
from burnish.adapters.sql.unit import SqlUnit
from burnish.feedback.model import Rejection
from burnish.feedback.quarantine import (
    Entry,
    EntryState,
    QuarantineEntryNotFound,
    Selection,
    entries,
)
from burnish.kernel.digest import canonical
from burnish.kernel.errors import InvalidInput
from support.databases import saved
from support.samples import NOON, later

Units = Callable[..., SqlUnit]


def entry(number: int, **changes: object) -> Entry:
    fields: dict[str, object] = {
        "id": f"f{number}-0",
        "key": f"quarantine/unknown_label/dt=2026-05-01/f{number}.ndjson",
        "line": 0,
        "code": "unknown_label",
        "detail": "why",
        "received_at": later(number),
        "model": "laundry",
        "source": "app",
        "record_id": f"r-{number}",
    }
    return Entry(**(fields | changes))  # type: ignore[arg-type]


def ids(found: list[Entry]) -> list[str]:
    return [one.id for one in found]


def test_entries_are_noted_once_and_paged_in_both_directions(engine: Engine, unit: Units) -> None:
    index = SqlQuarantineIndex(engine)
    same = [entry(3), entry(4, id="f4-0", received_at=later(3)), entry(1), entry(2)]
    index.note(same)
    index.note([*same, entry(5)])
    with unit(reads_only=True) as stores:
        pages = stores.quarantine
        everything = pages.page(Selection(), after=None, limit=9, ascending=True)
        assert ids(everything) == ["f1-0", "f2-0", "f3-0", "f4-0", "f5-0"]
        assert everything[0] == entry(1)
        assert ids(pages.page(Selection(), after="f3-0", limit=9, ascending=True)) == [
            "f4-0",
            "f5-0",
        ]
        assert ids(pages.page(Selection(), after="f4-0", limit=2, ascending=False)) == [
            "f3-0",
            "f2-0",
        ]
        assert ids(
            pages.page(Selection(), after="f1-0", through="f3-0", limit=9, ascending=True)
        ) == ["f2-0", "f3-0"]
        assert pages.remaining(Selection(), after="f3-0") == 2
        assert pages.remaining(Selection(), after="f1-0", through="f4-0") == 3
        assert pages.get("f2-0") == entry(2)
        with pytest.raises(QuarantineEntryNotFound):
            pages.get("nope")
        with pytest.raises(QuarantineEntryNotFound):
            pages.page(Selection(), after="nope", limit=1, ascending=True)


def test_a_selection_is_by_code_model_day_identity_and_state(engine: Engine, unit: Units) -> None:
    SqlQuarantineIndex(engine).note(
        [
            entry(1),
            entry(2, code="unknown_model", model=None, source=None),
            entry(3, received_at=later(24 * 60)),
            entry(4, state=EntryState.ACCEPTED),
        ]
    )
    with unit(reads_only=True) as stores:

        def found(selection: Selection) -> list[str]:
            return ids(stores.quarantine.page(selection, after=None, limit=9, ascending=True))

        assert found(Selection(code="unknown_model")) == ["f2-0"]
        assert found(Selection(model="laundry")) == ["f1-0", "f3-0"]
        assert found(Selection(day="2026-05-02")) == ["f3-0"]
        assert found(Selection(state=None, source="app", record_id="r-4")) == ["f4-0"]
        assert found(Selection(ids=("f1-0", "f4-0"))) == ["f1-0"]
        assert found(Selection(ids=())) == []
        with pytest.raises(InvalidInput, match="write it as 2026-05-01"):
            found(Selection(day="yesterday"))
        counts = stores.quarantine.counts(Selection(state=None))
        assert counts[0].entries == 2
        assert {(one.code, one.model, one.state, one.entries) for one in counts} == {
            ("unknown_label", "laundry", EntryState.OPEN, 2),
            ("unknown_label", "laundry", EntryState.ACCEPTED, 1),
            ("unknown_model", None, EntryState.OPEN, 1),
        }
        assert (counts[0].oldest, counts[0].newest) == (later(1), later(24 * 60))


def test_only_an_open_entry_is_settled(engine: Engine, unit: Units) -> None:
    SqlQuarantineIndex(engine).note([entry(1)])
    with saved(unit()) as stores:
        stores.quarantine.settle("f1-0", EntryState.OPEN, "unknown_model", "still", at=NOON)
        stores.quarantine.settle("f1-0", EntryState.ACCEPTED, "accepted", "", at=NOON)
        stores.quarantine.settle("f1-0", EntryState.OPEN, "late", "late", at=NOON)
    with unit(reads_only=True) as stores:
        settled = stores.quarantine.get("f1-0")
    assert (settled.code, settled.detail) == ("unknown_model", "still")
    assert (settled.state, settled.replays, settled.replayed_at) == (EntryState.ACCEPTED, 2, NOON)


def refused(body: str | bytes, content_type: str = "application/json", **ce: str) -> Rejection:
    return Rejection(
        received_at=NOON,
        code="malformed_feedback_event",
        detail="has a \0",
        content_type=content_type,
        body=body if isinstance(body, str) else None,
        body_b64=body if isinstance(body, bytes) else None,
        ce=ce,
    )


def test_identity_and_model_are_known_as_far_as_the_record_tells(
    engine: Engine, unit: Units
) -> None:
    plain = '{"id": "1", "source": "app", "model": "laundry"}'
    event = '{"specversion": "1.0", "id": "2", "source": "app", "data": {"model": "laundry"}}'
    lines = [
        refused(plain),
        refused(event, "application/cloudevents+json; charset=utf-8"),
        refused('{"model": "laundry"}', specversion="1.0", id="3", source="app"),
        refused("{ nope"),
        refused(b"\xff"),
        refused('{"id": 7, "source": "a\\u0000b", "model": ["x"]}'),
        refused("[" * 5000),
    ]
    key = "quarantine/malformed_feedback_event/dt=2026-05-01/abc.ndjson"
    found = entries(key, b"".join(canonical(one) + b"\n" for one in lines))
    assert [(one.id, one.source, one.record_id, one.model) for one in found] == [
        ("abc-0", "app", "1", "laundry"),
        ("abc-1", "app", "2", "laundry"),
        ("abc-2", "app", "3", "laundry"),
        ("abc-3", None, None, None),
        ("abc-4", None, None, None),
        ("abc-5", None, None, None),
        ("abc-6", None, None, None),
    ]
    SqlQuarantineIndex(engine).note(found)  # PostgreSQL refuses a NUL
    with unit(reads_only=True) as stores:
        assert stores.quarantine.remaining(Selection(), after=None) == 7
