"""Delivery: one thread takes what waits, in batches and in order, until each record is settled."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Final, NamedTuple

from burnish.client.http import ONCE, ApiProblem, Http, Retry, Unreachable
from burnish.client.outbox import Buffer

_log = logging.getLogger("burnish.client")

BATCH: Final = "application/x-ndjson"
_BATCH_PATH: Final = "/v1/feedback/batch"
_REFUSED: Final = 400  # and above
_TOO_LARGE: Final = 413
_PASSING: Final = frozenset({408, 429})
_SERVER_ERRORS: Final = 500  # and above


class Result(NamedTuple):
    """What became of one record."""

    source: str
    id: str
    status: int  # as HTTP has it
    code: str  # accepted, duplicate, queued (in the outbox), or the reason of a refusal
    offset: int | None = None  # in the raw log, once it is accepted
    detail: str | None = None  # of a refusal, in words

    @property
    def accepted(self) -> bool:
        """Whether it is durable, by this attempt or an earlier one."""
        return self.status < _REFUSED

    @property
    def duplicate(self) -> bool:
        """Whether the platform had it already."""
        return self.code == "duplicate"


class Closed(Exception):
    """The client is closed, or can go on no more; the record in hand is not sent."""


class Batching(NamedTuple):
    """How much goes in one request, and how long to wait for more, in seconds."""

    records: int
    bytes: int
    linger: float


class _Ticket(NamedTuple):
    future: "Future[Result]"
    deadline: float  # monotonic seconds
    urgent: bool  # somebody waits for the future, and learns from it of a failure


class Delivery:
    """Sends what a buffer holds, by a thread that starts with the first record.

    Args:
        http: to the feedback front.
        buffer: what waits; no one else touches it.
        batching: sizes and times.
        patience: seconds over which a record is tried before it fails. None: for ever, as for
            records that were promised to be kept.
        notify: told of each result, in this thread.
        retry: pauses between attempts.
    """

    def __init__(
        self,
        http: Http,
        buffer: Buffer,
        *,
        batching: Batching,
        patience: float | None,
        notify: Callable[[Result], None] | None,
        retry: Retry,
    ) -> None:
        self._http, self._buffer, self._batching = http, buffer, batching
        self._patience, self._notify, self._retry = patience, notify, retry
        self._changed = threading.Condition()
        self._first = 0  # number of the record at the front; those left from before count too
        self._next = len(buffer)
        self._urgent = 0  # records below this number wait for no others
        self._since = time.monotonic()  # when the front record came, or came to the front
        self._tickets: dict[int, _Ticket] = {}
        self._cap = batching.records  # less where the platform takes less
        self._attempt, self._not_before = 0, 0.0
        self._problem: ApiProblem | Unreachable | None = None  # of the last attempt
        self._given_up: ApiProblem | Unreachable | Closed | None = None  # not told yet
        self._closing = False
        self._ended: str | None = None
        self._thread = threading.Thread(target=self._run, name="burnish-feedback", daemon=True)
        if len(buffer):
            self._thread.start()

    def submit(self, lines: Sequence[bytes], *, urgent: bool) -> list["Future[Result]"]:
        """Queue records, each in a future. Raises Closed, OutboxError.

        With an outbox they are durable on return; the futures tell of their delivery. Urgent ones,
        whose futures somebody waits for, wait for no others, and `flush` does not tell of them.
        """
        futures: list[Future[Result]] = [Future() for _ in lines]
        deadline = time.monotonic() + (self._patience or 0.0)
        with self._changed:
            if self._closing or self._ended is not None:
                raise Closed(self._ended or "The client is closed.")
            if not len(self._buffer):
                self._since = time.monotonic()
            self._buffer.append(lines)
            for number, future in enumerate(futures, start=self._next):
                self._tickets[number] = _Ticket(future, deadline, urgent)
            self._next += len(lines)
            if urgent:
                self._urgent = self._next
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()
        return futures

    def flush(self, timeout: float) -> None:
        """Wait until all that was queued before is settled.

        Raises ApiProblem or Unreachable if, in so many seconds, the platform did not take it, or a
        record was given up since the last flush; TimeoutError if it was not even tried.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            goal = self._urgent = self._next
            if self._problem is not None and not self._problem.passing:
                self._problem, self._not_before = None, 0.0  # it may be mended: try now
            self._changed.notify_all()
            while self._first < goal:
                if self._ended is not None:
                    raise Closed(self._ended)
                if self._problem is not None and not self._problem.passing:
                    raise self._problem
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._problem or TimeoutError(
                        f"{goal - self._first} records still wait after {timeout:g} s."
                    )
                self._changed.wait(left)
        self.raise_given_up()

    def raise_given_up(self) -> None:
        """Raise, once, why a record was given up that nobody waited for; nothing if none was."""
        with self._changed:
            problem, self._given_up = self._given_up, None
        if problem is not None:
            raise problem

    def close(self) -> None:
        """Deliver what waits, then end: in memory with all patience, from an outbox without."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._end("The client is closed.")
        self._buffer.close()

    def _run(self) -> None:
        try:
            while batch := self._due():
                try:
                    self._settle(batch, self._post(batch))
                except (ApiProblem, Unreachable) as error:
                    self._failed(batch, error)
        except Exception as error:
            _log.exception("feedback delivery has ended")
            self._end(f"Delivery has ended: {error}")
            raise

    def _due(self) -> list[bytes]:
        """Wait for a batch that is to go now, and return it; nothing at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                wait: float | None = None
                if len(self._buffer):
                    if self._closing and self._patience is None and self._problem is not None:
                        return []  # the outbox keeps it
                    wait = max(self._not_before, self._since + self._linger()) - now
                    if wait <= 0:
                        return self._buffer.head(self._cap, self._batching.bytes)
                elif self._closing:
                    return []
                self._changed.wait(wait)

    def _linger(self) -> float:
        """Return how many seconds the front record may wait for others."""
        full = (
            len(self._buffer) >= self._batching.records or self._buffer.size >= self._batching.bytes
        )
        hurried = self._first < self._urgent or self._closing
        return 0.0 if full or hurried else self._batching.linger

    def _post(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        headers = {"Content-Type": BATCH}
        body = b"\n".join(batch)
        answer = self._http.request("POST", _BATCH_PATH, body, headers, retry=ONCE, idempotent=True)
        try:
            lines = answer.json()["results"]
            good = len(lines) == len(batch) and all(
                isinstance(line["status"], int) and line["index"] == index
                for index, line in enumerate(lines)
            )
        except (ValueError, TypeError, KeyError):
            good = False
        if not good:
            raise Unreachable(self._http.url, "what answered is no feedback front")
        return list(lines)

    def _settle(self, batch: Sequence[bytes], lines: Sequence[dict[str, Any]]) -> None:
        """Tell of each record, and forget all up to the first that must be tried again."""
        for number, (raw, line) in enumerate(zip(batch, lines, strict=True)):
            status = line["status"]
            if status in _PASSING or status >= _SERVER_ERRORS:
                self._done(number)
                self._failed(batch[number:], ApiProblem(status, line))
                return
            self._tell(self._first + number, _result(raw, line))
        self._done(len(batch))

    def _done(self, count: int) -> None:
        with self._changed:
            self._forget(count)
            if count:
                self._attempt, self._problem = 0, None
            self._changed.notify_all()

    def _failed(self, batch: Sequence[bytes], error: ApiProblem | Unreachable) -> None:
        """Prepare the next attempt; settle what has been tried for long enough."""
        if isinstance(error, ApiProblem) and error.status == _TOO_LARGE:
            if len(batch) > 1:
                self._cap = max(1, len(batch) // 2)
            else:
                line = {"status": error.status, "code": error.code, "detail": error.detail}
                self._tell(self._first, _result(batch[0], line))
                self._done(1)
            return
        with self._changed:
            pause = self._retry.pause(self._attempt, error.retry_after)
            if not error.passing:  # until somebody has changed something
                pause = max(pause, self._retry.longest_pause)
            self._attempt += 1
            self._problem = error
            self._not_before = time.monotonic() + pause
            if self._patience is not None:
                given_up = len(batch) if not error.passing else self._impatient()
                for number in range(self._first, self._first + given_up):
                    self._give_up(self._tickets[number], error)
                self._forget(given_up)
                if not error.passing:  # nothing of that batch is tried again
                    self._problem, self._not_before = None, 0.0
            self._changed.notify_all()
        _log.info("feedback waits: %s", error)

    def _impatient(self) -> int:
        """Return how many at the front could not wait until the next attempt."""
        count = 0
        while (ticket := self._tickets.get(self._first + count)) is not None:
            if ticket.deadline > self._not_before:
                break
            count += 1
        return count

    def _give_up(self, ticket: _Ticket, error: ApiProblem | Unreachable | Closed) -> None:
        with suppress(InvalidStateError):  # cancelled by who waited
            ticket.future.set_exception(error)
            if self._patience is not None and not ticket.urgent:  # an outbox keeps its record
                self._given_up = self._given_up or error

    def _tell(self, number: int, result: Result) -> None:
        ticket = self._tickets.get(number)
        if ticket is not None:
            with suppress(InvalidStateError):  # cancelled by who waited
                ticket.future.set_result(result)
        if not result.accepted:
            _log.warning("feedback %s of %s refused: %s", result.id, result.source, result.code)
        if self._notify is not None:
            try:
                self._notify(result)
            except Exception:  # noqa: BLE001  its mistake must not end the delivery
                _log.exception("on_result failed")

    def _forget(self, count: int) -> None:
        if count:
            self._buffer.drop(count)
            for number in range(self._first, self._first + count):
                self._tickets.pop(number, None)
            self._first += count
            self._since = time.monotonic()

    def _end(self, why: str) -> None:
        with self._changed:
            self._ended = self._ended or why
            for ticket in self._tickets.values():
                self._give_up(ticket, Closed(why))
            self._tickets.clear()
            self._changed.notify_all()


def _result(raw: bytes, line: dict[str, Any]) -> Result:
    record = json.loads(raw)
    return Result(
        source=record["source"],
        id=record["id"],
        status=line["status"],
        code=str(line.get("code")),
        offset=line.get("offset"),
        detail=line.get("detail"),
    )
