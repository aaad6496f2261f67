"""Send corrections to Burnish: standard library only, and nothing is ever counted twice.

    with Feedback("http://127.0.0.1:8401", token, source="laundry-app") as feedback:
        feedback.send({"model": "laundry", "subject_id": "task-7", "predicted": "good",
                       "final": "defect", "corrected": True, "actor": "kim",
                       "occurred_at": "2026-05-01T10:00:00Z", "payload": uri})

A record without an id gets a UUIDv7 before its first attempt, so that every retry is the same
record to the platform, however many answers were lost on the way.
"""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from burnish.client.delivery import Batching, Closed, Delivery, Result
from burnish.client.http import TIMEOUT_S, ApiProblem, Http, Retry, Unreachable
from burnish.client.outbox import (
    Buffer,
    BufferFull,
    Memory,
    Outbox,
    OutboxDamaged,
    OutboxError,
    OutboxLocked,
)

__all__ = [
    "ApiProblem",
    "AsyncFeedback",
    "BufferFull",
    "Closed",
    "Feedback",
    "OutboxDamaged",
    "OutboxError",
    "OutboxLocked",
    "Result",
    "Unreachable",
    "uuid7",
]

BATCH_RECORDS: Final = 1000
BATCH_BYTES: Final = 4 << 20  # far below what ingest takes at once
BUFFER_BYTES: Final = 256 << 20
PATIENCE_S: Final = 60.0
_QUEUED: Final = 202


class Feedback:
    """A connection to the feedback front, kept alive; safe in any thread, not across a fork.

    All records go through one queue and one request at a time: what several threads send while a
    request is under way shares the next one. Each answer is durable.

    Args:
        base_url: of the front, such as http://127.0.0.1:8401.
        token: a key that may send feedback.
        source: the `source` of records that name none.
        timeout_s: seconds to wait for one answer.
        patience_s: seconds over which a record is tried before its call gives up.
        batch_records: most records of one request.
        batch_bytes: most bytes of one request.
        linger_s: seconds that a record given to `submit`, or lying in the outbox, waits for others
            to share its request.
        outbox: a folder. Then a call returns once its records are on this disk, synced, whether or
            not the platform answers, and they are delivered in the background, if need be after
            the next start: until somebody takes them. One client at a time may have it.
        buffer_bytes: most bytes that may wait, in memory or in the outbox.
        on_result: told what became of each record, in the delivering thread; with an outbox the
            only way to learn of a refusal at once (the platform keeps refused records too, in its
            quarantine).

    Raises:
        ValueError: the URL is none, or no header can carry the token.
        OutboxLocked, OutboxDamaged: the outbox cannot be opened.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        source: str | None = None,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        batch_records: int = BATCH_RECORDS,
        batch_bytes: int = BATCH_BYTES,
        linger_s: float = 0.0,
        outbox: str | os.PathLike[str] | None = None,
        buffer_bytes: int = BUFFER_BYTES,
        on_result: Callable[[Result], None] | None = None,
    ) -> None:
        self._http = Http(base_url, token, timeout=timeout_s)
        self._source, self._patience_s, self._batch_records = source, patience_s, batch_records
        self.keeps = outbox is not None  # records are durable here before they are delivered
        buffer: Buffer = (
            Memory(buffer_bytes) if outbox is None else Outbox(Path(outbox), max_bytes=buffer_bytes)
        )
        self._delivery = Delivery(
            self._http,
            buffer,
            batching=Batching(batch_records, batch_bytes, linger_s),
            patience=None if self.keeps else patience_s,
            notify=on_result,
            retry=Retry(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, under_way: type[BaseException] | None, *_: object) -> None:
        """Close, then raise why records were given up, unless another error is under way."""
        self.close()
        if under_way is None:
            self._delivery.raise_given_up()

    def close(self) -> None:
        """Deliver what waits, then hang up.

        With an outbox nothing is waited for: what the platform does not take now stays there. What
        had to be given up, `flush` or the end of the `with` block tells, not this.
        """
        self._delivery.close()
        self._http.close()

    def send(self, record: Mapping[str, Any]) -> Result:
        """Send one record; it is durable once this returns.

        With an outbox it is durable here, and its result's code is "queued". Raises ApiProblem if
        the platform refuses it, ApiProblem or Unreachable if it did not take it within
        `patience_s`, ValueError or TypeError if the record cannot be written as JSON or names no
        source, OutboxError if the outbox does not take it.
        """
        named = self._named(record)
        (future,) = self._submit([named], urgent=not self.keeps)
        if self.keeps:
            return _queued(named)
        return _accepted(future.result())

    def send_many(self, records: Iterable[Mapping[str, Any]]) -> list[Result]:
        """Send records in batches; return the result of each, in order.

        A bad record costs its neighbours nothing: look at `accepted`. Raises as `send` does if the
        platform does not take a whole batch; records of earlier batches are durable then.
        """
        results: list[Result] = []
        remaining = iter(records)
        while batch := [self._named(one) for one in islice(remaining, self._batch_records)]:
            futures = self._submit(batch, urgent=not self.keeps)
            if self.keeps:
                results += map(_queued, batch)
            else:
                results += [future.result() for future in futures]
        return results

    def submit(self, record: Mapping[str, Any], *, urgent: bool = False) -> "Future[Result]":
        """Queue one record; the future tells what became of it, or raises as `send` does.

        A refusal is a result here too: look at `accepted`. An `urgent` one does not linger, and its
        future alone tells of a failure. With an outbox the record is durable once this returns.
        """
        return self._submit([self._named(record)], urgent=urgent)[0]

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until the platform has settled everything queued so far, the outbox included.

        Raises ApiProblem or Unreachable if it did not within `timeout_s`, by default `patience_s`,
        and, once, if it gave up a record of `submit` since the last `flush`.
        """
        self._delivery.flush(self._patience_s if timeout_s is None else timeout_s)

    def seal(self) -> int:
        """Have all that was delivered so far persisted; return the shard's persisted offset."""
        answer = self._http.request(
            "POST",
            "/v1/seal",
            b"",
            {"Content-Type": "application/json"},
            retry=Retry(deadline=self._patience_s),
            idempotent=True,
        )
        return int(answer.json()["persisted_offset"])

    def _submit(self, records: list[dict[str, Any]], *, urgent: bool) -> list["Future[Result]"]:
        return self._delivery.submit([_encode(one) for one in records], urgent=urgent)

    def _named(self, record: Mapping[str, Any]) -> dict[str, Any]:
        named = {"id": None, "source": self._source, **record}
        if named["id"] is None:
            named["id"] = uuid7()
        if named["source"] is None:
            raise ValueError("source is missing: name it in the record or in Feedback(source=…)")
        return named


class AsyncFeedback:
    """A `Feedback` for asyncio, with the same methods; whoever awaits one waits for its result.

    Its queue and its delivering thread do the work, so that a thousand tasks that send at the same
    moment cost no thousand threads or requests: they share one or two batches. A cancelled `send`
    may still be delivered.

        async with AsyncFeedback(Feedback(url, token, source="laundry-app")) as feedback:
            await feedback.send(record)
    """

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, under_way: type[BaseException] | None, *rest: object) -> None:
        """Close and raise, as the end of `Feedback`'s own `with` block does."""
        await asyncio.to_thread(self._feedback.__exit__, under_way, *rest)

    async def close(self) -> None:
        """Deliver what waits, then hang up, as `Feedback.close` does."""
        await asyncio.to_thread(self._feedback.close)

    async def send(self, record: Mapping[str, Any]) -> Result:
        """Send one record, as `Feedback.send` does."""
        if self._feedback.keeps:
            return await asyncio.to_thread(self._feedback.send, record)
        result = await asyncio.wrap_future(self._feedback.submit(record, urgent=True))
        return _accepted(result)

    async def send_many(self, records: Iterable[Mapping[str, Any]]) -> list[Result]:
        """Send records in batches, as `Feedback.send_many` does; they are read in a thread."""
        return await asyncio.to_thread(self._feedback.send_many, records)

    async def submit(self, record: Mapping[str, Any]) -> "asyncio.Future[Result]":
        """Queue one record, as `Feedback.submit` does; await what this returns for its result."""
        if self._feedback.keeps:
            return asyncio.wrap_future(await asyncio.to_thread(self._feedback.submit, record))
        return asyncio.wrap_future(self._feedback.submit(record))

    async def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything queued so far is settled, as `Feedback.flush` does."""
        await asyncio.to_thread(self._feedback.flush, timeout_s)

    async def seal(self) -> int:
        """Have all that was delivered so far persisted, as `Feedback.seal` does."""
        return await asyncio.to_thread(self._feedback.seal)


def _accepted(result: Result) -> Result:
    """Return the result of an accepted record. Raises ApiProblem for a refused one."""
    if not result.accepted:
        raise ApiProblem(result.status, {"code": result.code, "detail": result.detail})
    return result


def uuid7() -> str:
    """Return a UUIDv7, in order to a quarter of a microsecond. (RFC 9562, 5.7, 6.2 method 3)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    noise = int.from_bytes(os.urandom(8)) >> 2
    fraction = (rest << 12) // 1_000_000
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | noise))


def _encode(record: Mapping[str, Any]) -> bytes:
    """Return a record's line. Raises ValueError, TypeError for what JSON cannot hold."""
    return json.dumps(record, allow_nan=False, separators=(",", ":"), default=_text).encode()


def _text(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: give occurred_at as a moment in UTC")
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be sent: give a text, a number, true, false or null")


def _queued(record: Mapping[str, Any]) -> Result:
    return Result(record["source"], record["id"], _QUEUED, "queued")
