"""Feedback records: judge each, keep the good ones, quarantine the others, answer for all."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from burnish import rim
from burnish.feedback.admission import admit
from burnish.feedback.model import (
    FeedbackConflict,
    Incoming,
    MalformedFeedback,
    ModelFacts,
    NotJson,
    Outcome,
    Published,
    Receipt,
    Rejection,
)
from burnish.feedback.parse import BATCH, PLAIN, STRUCTURED, media_type, parse
from burnish.feedback.ports import FeedbackLog, Kept, Meter, Quarantine, Receipts
from burnish.ingest.completions import Completions
from burnish.ingest.http import TooLarge
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError, InvalidInput

_STATUS: Final = {Outcome.ACCEPTED: 202, Outcome.DUPLICATE: 200}
_EVENT: Final = re.compile(rb'"specversion"\s*:')  # only a key is followed by a colon


class Message(Struct, frozen=True):
    """One record as it came."""

    body: bytes
    content_type: str
    ce: dict[str, str]


class Verdict(Struct):
    """What we make of a message: something to keep, or an error; then what became of it."""

    message: Message
    model: str = ""  # if it is a published one
    incoming: Incoming | None = None
    error: BurnishError | None = None
    receipt: Receipt | None = None

    def line(self, index: int) -> dict[str, Any]:
        """Return its line of a batch's answer."""
        if self.error is not None:
            status, document = rim.problem(self.error)
            code, detail = document["code"], document["detail"]
            return {"index": index, "status": status, "code": code, "detail": detail}
        if self.receipt is None:
            raise AssertionError("a verdict without error has a receipt once it was kept")
        outcome = self.receipt.outcome
        return {
            "index": index,
            "status": _STATUS[outcome],
            "code": outcome.value,
            "offset": self.receipt.offset,
        }


class Records:
    """The use cases of the front, behind its HTTP."""

    def __init__(
        self, *, log: FeedbackLog, quarantine: Quarantine, meter: Meter, clock: Clock, cap: int
    ) -> None:
        self._log, self._quarantine, self._meter, self._clock = log, quarantine, meter, clock
        self._cap = cap
        self._receipts: Completions[Receipts] = Completions()
        self._kept: Completions[Kept] = Completions()

    async def one(self, message: Message, published: Published) -> tuple[int, dict[str, Any]]:
        """Keep one record; return status and answer. Raises what is wrong, once quarantined."""
        verdict = self._judge(message, published.models)
        await self._keep([verdict])
        if verdict.error is not None:
            raise verdict.error
        if verdict.incoming is None or verdict.receipt is None:
            raise AssertionError("a verdict without error has a receipt once it was kept")
        receipt = verdict.receipt
        return _STATUS[receipt.outcome], {
            "source": verdict.incoming.source,
            "id": verdict.incoming.id,
            "offset": receipt.offset,
            "shard": self._log.shard,
            "duplicate": receipt.outcome is Outcome.DUPLICATE,
        }

    async def batch(
        self, message: Message, published: Published, *, most: int | None = None
    ) -> list[dict[str, Any]]:
        """Keep what is good in a batch, of `most` records if given; return one line per record.

        Raises:
            NotJson, MalformedFeedback, TooLarge: it is no such batch; it was quarantined whole.
            Backpressure: nothing of it was kept.
        """
        try:
            messages = _split(message)
            if most is not None and len(messages) > most:
                raise TooLarge(
                    f"The message holds {len(messages)} records: send at most {most} at a time.",
                    limit=most,
                )
        except InvalidInput as error:
            await self.refuse(message, error)
            raise
        verdicts = {index: self._judge(one, published.models) for index, one in messages.items()}
        await self._keep(list(verdicts.values()))
        return [verdict.line(index) for index, verdict in verdicts.items()]

    async def refuse(self, message: Message, error: BurnishError) -> None:
        """Keep a message in quarantine as a whole, with the error as its reason."""
        await self._keep([Verdict(message, error=error)])

    def _judge(self, message: Message, models: dict[str, ModelFacts]) -> Verdict:
        verdict = Verdict(message)
        try:
            if len(message.body) > self._cap:
                raise TooLarge(f"The record has more than {self._cap} bytes.", limit=self._cap)
            record = parse(message.body, message.content_type, message.ce)
            verdict.model = record.model if record.model in models else ""
            admit(record, models)
        except InvalidInput as error:
            verdict.error = error
            return verdict
        verdict.incoming = Incoming(
            source=record.source,
            id=record.id,
            content_type=message.content_type,
            body=message.body,
            ce=message.ce,
        )
        return verdict

    async def _keep(self, verdicts: list[Verdict]) -> None:
        """Make each durable where it belongs, and note what became of it."""
        good = [one for one in verdicts if one.incoming is not None]
        if good:
            receipts = await self._append([one.incoming for one in good if one.incoming])
            for verdict, receipt in zip(good, receipts, strict=True):
                self._settle(verdict, receipt)
        bad = [(one, one.error) for one in verdicts if one.error is not None]
        if bad:
            await self._put_aside([self._rejection(one.message, error) for one, error in bad])
            for one, error in bad:
                self._meter.quarantined(error.code, one.model)

    def _settle(self, verdict: Verdict, receipt: Receipt) -> None:
        verdict.receipt = receipt
        match receipt.outcome:
            case Outcome.ACCEPTED:
                self._meter.accepted(verdict.model)
            case Outcome.DUPLICATE:
                self._meter.duplicate(verdict.model)
            case Outcome.CONFLICT:
                source, id_ = (
                    (verdict.incoming.source, verdict.incoming.id) if verdict.incoming else ("", "")
                )
                verdict.error = FeedbackConflict(
                    f"Record {id_!r} of {source!r} is kept already, with another body: "
                    "a new verdict needs a new id.",
                    source=source,
                    id=id_,
                    offset=receipt.offset,
                )

    async def _append(self, records: Sequence[Incoming]) -> Sequence[Receipt]:
        future, done = self._receipts.expect()
        self._log.append(records, done)
        receipts = await future
        if isinstance(receipts, BurnishError):
            raise receipts
        return receipts

    async def _put_aside(self, rejections: Sequence[Rejection]) -> None:
        future, done = self._kept.expect()
        self._quarantine.keep(rejections, done)
        error = await future
        if error is not None:
            raise error

    def _rejection(self, message: Message, error: BurnishError) -> Rejection:
        body: str | None
        try:
            body, raw = message.body.decode(), None
        except UnicodeDecodeError:
            body, raw = None, message.body
        return Rejection(
            received_at=self._clock(),
            code=error.code,
            detail=error.detail,
            content_type=message.content_type,
            body=body,
            body_b64=raw,
            ce=message.ce,
        )


def _split(message: Message) -> dict[int, Message]:
    """Return the messages of a batch by their line, or by their place in the array."""
    trace = {name: value for name, value in message.ce.items() if name == "traceparent"}
    if media_type(message.content_type) == BATCH:
        return {
            index: Message(bytes(event), STRUCTURED, trace)
            for index, event in enumerate(_events(message.body))
        }
    return {
        index: Message(line, STRUCTURED if _EVENT.search(line) else PLAIN, trace)
        for index, line in enumerate(message.body.split(b"\n"))
        if line.strip()
    }


def _events(body: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except RecursionError as error:
        raise MalformedFeedback("The batch nests too deeply: records are flat.") from error
    except msgspec.ValidationError as error:
        raise MalformedFeedback(f"The batch is not a JSON array of events: {error}.") from error
    except msgspec.DecodeError as error:
        raise NotJson(f"The batch is not JSON: {error}.") from error
