"""Drawn histories of feedback: everything that people, networks and clocks do to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
from msgspec import structs

from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.parse import PLAIN
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest
from support.samples import prediction

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def prediction_id(number: int) -> str:
    return f"1.01890000-0000-7000-8000-{number:012x}"


def records(
    random: Random,
    count: int,
    *,
    subjects: int,
    first: int = 0,
    people: Sequence[str | None] = ("kim", "kim", "lee"),
) -> list[Verdict]:
    """Draw records: second thoughts, quarrels, equal photos, predictions, payloads of all kinds."""
    return [_record(random, number, subjects, people) for number in range(first, first + count)]


def _record(random: Random, number: int, subjects: int, people: Sequence[str | None]) -> Verdict:
    subject = random.randrange(subjects)
    content = subject // 2 if random.random() < 0.1 else subject
    label = "good" if content % 2 else "defect"
    if random.random() < 0.05:
        label = {"good": "defect", "defect": "good"}[label]
    payload: str | None = f"burnish:{digest(b'%d' % content)}"
    prediction = prediction_id(random.randrange(60)) if random.random() < 0.1 else None
    if prediction is not None and random.random() < 0.5:
        payload = None
    elif random.random() < 0.03:
        payload = random.choice(["https://elsewhere/1.jpg", f"burnish:{digest(b'never stored')}"])
    predicted = random.choice([None, "good", "defect"])
    return Verdict(
        source=random.choice(["app", "app", "app", "gold"]),
        id=f"id-{number if random.random() < 0.95 else number // 2}",
        shard="a",
        offset=number,
        model="laundry" if random.random() < 0.95 else "curtains",
        subject_id=f"subject-{subject}",
        final=label,
        corrected=predicted != label,
        occurred_at=NOON + timedelta(seconds=random.randrange(10_000)),
        received_at=NOON + timedelta(days=1, seconds=number),
        predicted=predicted,
        prediction_id=prediction,
        selection=random.choice([None, None, Selection.RANDOM, Selection.UNCERTAINTY]),
        payload=payload,
        actor=random.choice(people),
    )


def predictions(count: int) -> dict[str, Prediction]:
    """Return predictions of two models; some are old, some have no input."""
    given = {}
    for number in range(count):
        id_ = prediction_id(number)
        given[id_] = prediction(
            number,
            id=id_,
            model="laundry" if number % 9 else "curtains",
            at=NOON - timedelta(days=number % 40),
            payload_sha256=None if number % 7 == 0 else digest(b"%d" % number),
        )
    return given


class Log:
    """A raw log in memory, of several shards; port `feedback.ports.RawLog`."""

    def __init__(self) -> None:
        self._shards: dict[str, list[RawRecord]] = {}

    def end(self) -> dict[str, int]:
        return {shard: len(lines) for shard, lines in self._shards.items()}

    def read(self, shard: str, first: int, end: int) -> Any:
        return iter(self._shards.get(shard, [])[first:end])

    def append(self, verdict: Verdict, shard: str, *, body: bytes | None = None) -> None:
        """Add a line that says this, or another body in its place."""
        lines = self._shards.setdefault(shard, [])
        lines.append(
            RawRecord(
                offset=len(lines),
                received_at=verdict.received_at,
                source=verdict.source,
                id=verdict.id,
                content_type=PLAIN,
                body=(body_of(verdict) if body is None else body).decode(),
            )
        )


def arrive(log: Log, verdicts: list[Verdict], random: Random, *, shards: int) -> None:
    """Lay records out in some order, some of them twice, on some shards; some lines are broken."""
    lines = verdicts + random.sample(verdicts, len(verdicts) // 10)
    random.shuffle(lines)
    for moment, line in enumerate(lines):
        at = line.received_at if shards == 1 else NOON + timedelta(days=2, seconds=moment // 2)
        body = b'{"source": "app"}' if random.random() < 0.01 else None
        log.append(
            structs.replace(line, received_at=at), f"shard-{random.randrange(shards)}", body=body
        )


def body_of(verdict: Verdict) -> bytes:
    fields = structs.asdict(verdict)
    for name in ("shard", "offset", "received_at"):
        del fields[name]
    return msgspec.json.encode({name: one for name, one in fields.items() if one is not None})
