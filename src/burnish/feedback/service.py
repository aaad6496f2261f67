"""The projection: follows the raw log into a table that triggers and pages can query."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from burnish.feedback.model import RawRecord
from burnish.feedback.ports import FeedbackUnit, Parse, RawLog
from burnish.feedback.verdict import Verdict, verdict_of
from burnish.kernel.errors import InvalidInput, Stale, Unavailable

BATCH_RECORDS = 1000  # per transaction: tens of milliseconds under the database's write lock


class RawLogGap(Unavailable):
    """The raw log does not hold every record that its manifest promises."""

    code = "raw_log.gap"


def project(raw_log: RawLog, units: Callable[[], FeedbackUnit], parse: Parse) -> list[str]:
    """Project what the raw log holds beyond the projected offsets; return models with news.

    Safe to run anywhere at any time, also twice at once: a batch and the offset after it are one
    transaction, guarded by the offset before it. A line that no longer parses is passed over; the
    dataset build lists it. Raises RawLogGap.
    """
    with units() as unit:
        done = unit.feedback.offsets()
    news: set[str] = set()
    for shard, end in sorted(raw_log.end().items()):
        first = done.get(shard, 0)
        lines = read(raw_log, shard, first, end)
        while batch := list(islice(lines, BATCH_RECORDS)):
            verdicts, _ = interpret(parse, shard, batch)
            try:
                with units() as unit:
                    unit.feedback.advance(shard, expected=first, to=first + len(batch))
                    fresh = unit.feedback.add(verdicts)
                    unit.commit()
            except Stale:  # another process projects this shard just now and has the news
                break
            news |= fresh
            first += len(batch)
    return sorted(news)


def read(raw_log: RawLog, shard: str, first: int, end: int) -> Iterator[RawRecord]:
    """Yield the lines of a range, each of them.

    Raises RawLogGap where one is missing: what is built on the range would not be what its offsets
    say.
    """
    expected = first
    for raw in raw_log.read(shard, first, end):
        if raw.offset != expected:
            break
        yield raw
        expected += 1
    if expected != end:
        raise RawLogGap(
            f"Shard {shard!r} of the raw log has no record at offset {expected}, below {end}:"
            " check that its objects are in place.",
            shard=shard,
            offset=expected,
            end=end,
        )


def interpret(
    parse: Parse, shard: str, lines: Iterable[RawRecord]
) -> tuple[list[Verdict], list[RawRecord]]:
    """Return the verdicts that the lines hold, and the lines that no longer parse."""
    verdicts: list[Verdict] = []
    unreadable: list[RawRecord] = []
    for raw in lines:
        try:
            verdicts.append(verdict_of(shard, raw, parse(raw)))
        except InvalidInput:
            unreadable.append(raw)
    return verdicts, unreadable
