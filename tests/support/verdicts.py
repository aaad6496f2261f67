"""Verdicts at random, as people give them, and ways in which they arrive."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from msgspec import structs

from burnish.feedback.model import Selection
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import digest

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def arrive(verdicts: list[Verdict], random: Random, *, shards: int) -> list[Verdict]:
    """Lay records out as if they had come in some order, some of them twice, on some shards."""
    lines = verdicts + random.sample(verdicts, len(verdicts) // 5)
    random.shuffle(lines)
    ends: Counter[str] = Counter()
    placed = []
    for moment, line in enumerate(lines):
        shard = f"shard-{random.randrange(shards)}"
        at = NOON + timedelta(days=1, seconds=moment)
        placed.append(structs.replace(line, shard=shard, offset=ends[shard], received_at=at))
        ends[shard] += 1
    return placed


def records(random: Random, count: int, *, subjects: int, first: int = 0) -> list[Verdict]:
    """Draw records with everything that happens: second thoughts, quarrels, equal photos."""
    drawn = []
    for number in range(first, first + count):
        subject = random.randrange(subjects)
        content = subject // 2 if random.random() < 0.1 else subject
        truth = "good" if content % 2 else "defect"
        wrong = random.random() < 0.05
        drawn.append(
            Verdict(
                source=random.choice(["app", "app", "app", "gold"]),
                id=f"id-{number}",
                shard="a",
                offset=number,
                model="laundry",
                subject_id=f"subject-{subject}",
                final={"good": "defect", "defect": "good"}[truth] if wrong else truth,
                corrected=random.random() < 0.5,
                occurred_at=NOON + timedelta(seconds=random.randrange(10_000)),
                received_at=NOON + timedelta(seconds=number),
                selection=random.choice([None, Selection.RANDOM, Selection.UNCERTAINTY]),
                payload=f"burnish:{digest(b'%d' % content)}",
                actor=random.choice(["kim", "kim", "lee", None]),
            )
        )
    return drawn
