"""Feedback records: judge each, keep the good ones, quarantine the others, answer for all."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from burnish import rim
from burnish.feedback.admission import admit, check_prediction
from burnish.feedback.model import (
    FeedbackConflict,
    FeedbackRecord,
    Incoming,
    ModelFacts,
    Outcome,
    Published,
    Receipt,
    Rejection,
)
from burnish.feedback.parse import parse
from burnish.feedback.plain import Plain, plain_message
from burnish.feedback.ports import (
    FeedbackLog,
    Found,
    Kept,
    Meter,
    PredictionLog,
    Quarantine,
    Receipts,
)
from burnish.ingest.answers import Accepted, Line, Results
from burnish.ingest.appends import Appends
from burnish.ingest.bodies import TooLarge
from burnish.ingest.completions import Completions
from burnish.ingest.messages import Message, split
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError, InvalidInput

MOST_RECORDS: Final = 100_000  # in a batch: as many as the largest holds, if they are short

One = tuple[int, Accepted]  # status and answer, of one record

_STATUS: Final = {Outcome.ACCEPTED: 202, Outcome.DUPLICATE: 200}
_TURN: Final = 1000  # records judged, then other requests have their turn
_LOOK_UP_S: Final = 0.05  # the longest that a record waits for the prediction log


class Verdict(Struct):
    """What we make of a message: something to keep, or an error; then what became of it."""

    message: Message
    model: str = ""  # if it is a published one
    record: FeedbackRecord | Plain | None = None
    incoming: Incoming | None = None
    error: BurnishError | None = None
    receipt: Receipt | None = None

    def refuse(self, error: BurnishError) -> None:
        """Note what is wrong: it is not kept as a record."""
        self.error, self.incoming = error, None

    def line(self, index: int) -> Line:
        """Return its line of a batch's answer."""
        if self.error is not None:
            status, document = rim.problem(self.error)
            return Line(index, status, document["code"], detail=document["detail"])
        if self.receipt is None:
            raise AssertionError("a verdict without error has a receipt once it was kept")
        outcome = self.receipt.outcome
        return Line.kept(index, _STATUS[outcome], outcome, self.receipt.offset)


class Records:
    """The use cases of the front, behind its HTTP."""

    def __init__(
        self,
        *,
        log: FeedbackLog,
        quarantine: Quarantine,
        predictions: PredictionLog,
        meter: Meter,
        clock: Clock,
        cap: int,
    ) -> None:
        self._log, self._quarantine, self._predictions = log, quarantine, predictions
        self._meter, self._clock, self._cap = meter, clock, cap
        self._appends = Appends(log)
        self._kept: Completions[Kept] = Completions()
        self._found: Completions[Found] = Completions()

    async def one(self, message: Message, published: Published) -> One:
        """Keep one record; return status and answer. Raises what is wrong, once quarantined."""
        verdict = self._judge(message, published.models)
        await self._keep([verdict], published.models)
        return self._answer(verdict)

    def quickly(
        self,
        message: Message,
        published: Published,
        done: Callable[[One | BurnishError | None], None],
    ) -> bool:
        """Keep a record without a task that waits for it; tell whether it may be of that kind.

        Nearly all are: nothing is wrong with them, and they name no prediction to be looked up. Of
        another nothing was kept, and `one` takes it.

        Args:
            message: holds one record.
            published: the models that it may speak of.
            done: called in the loop's thread with the answer, with why it is not kept, or with None
                if it turns out to be for `one` after all.
        """
        verdict = self._judge(message, published.models)
        if verdict.incoming is None or verdict.record is None or verdict.record.prediction_id:
            return False

        def kept(receipts: Receipts) -> None:
            if isinstance(receipts, BurnishError):
                self._meter.rejected(receipts.code, verdict.model)
                done(receipts)
            elif receipts[0].outcome is Outcome.CONFLICT:
                done(None)
            else:
                self._settle(verdict, receipts[0])
                done(self._answer(verdict))

        self._appends.add([verdict.incoming], kept)
        return True

    async def batch(
        self, message: Message, published: Published, *, most: int = MOST_RECORDS
    ) -> Results:
        """Keep what is good in a batch of `most` records; return one line per record.

        Raises:
            InvalidInput: it is no such batch; it was quarantined as a whole.
            Backpressure: not all of it was kept; sent again, what was is there already.
        """
        try:
            messages = split(message, most=most)
        except InvalidInput as error:
            await self.refuse(message, error)
            raise
        verdicts: dict[int, Verdict] = {}
        for index, one in messages.items():
            if verdicts and len(verdicts) % _TURN == 0:
                await asyncio.sleep(0)
            verdicts[index] = self._judge(one, published.models)
        await self._keep(list(verdicts.values()), published.models)
        return Results([verdict.line(index) for index, verdict in verdicts.items()])

    async def refuse(self, message: Message, error: BurnishError) -> None:
        """Keep a message in quarantine as a whole, with the error as its reason."""
        await self._keep([Verdict(message, error=error)], {})

    def _judge(self, message: Message, models: dict[str, ModelFacts]) -> Verdict:
        verdict = Verdict(message)
        try:
            if message.error is not None:
                raise message.error
            if len(message.body) > self._cap:
                raise TooLarge(f"The record has more than {self._cap} bytes.", limit=self._cap)
            record = plain_message(message.body, message.content_type, message.ce) or parse(
                message.body, message.content_type, message.ce
            )
            verdict.model = record.model if record.model in models else ""
            admit(record, models)
        except InvalidInput as error:
            verdict.error = error.forget_frames()  # of which one holds the verdict
            return verdict
        verdict.record = record
        verdict.incoming = Incoming(
            source=record.source,
            id=record.id,
            content_type=message.content_type,
            body=message.body,
            ce=message.ce,
        )
        return verdict

    async def _keep(self, verdicts: list[Verdict], models: Mapping[str, ModelFacts]) -> None:
        """Make each durable where it belongs, and note what became of it."""
        await self._check_predictions(verdicts, models)
        good = [one for one in verdicts if one.incoming is not None]
        if good:
            try:
                receipts = await self._appends.append(
                    [one.incoming for one in good if one.incoming]
                )
            except BurnishError as refusal:
                for verdict in good:
                    self._meter.rejected(refusal.code, verdict.model)
                raise
            for verdict, receipt in zip(good, receipts, strict=True):
                self._settle(verdict, receipt)
        bad = [(one, one.error) for one in verdicts if one.error is not None]
        if bad:
            await self._put_aside([self._rejection(one.message, error) for one, error in bad])
            for one, error in bad:
                self._meter.quarantined(error.code, one.model)

    def _answer(self, verdict: Verdict) -> One:
        if verdict.error is not None:
            raise verdict.error
        if verdict.incoming is None or verdict.receipt is None:
            raise AssertionError("a verdict without error has a receipt once it was kept")
        receipt = verdict.receipt
        return _STATUS[receipt.outcome], Accepted(
            source=verdict.incoming.source,
            id=verdict.incoming.id,
            offset=receipt.offset,
            shard=self._log.shard,
            duplicate=receipt.outcome is Outcome.DUPLICATE,
        )

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

    async def _check_predictions(
        self, verdicts: list[Verdict], models: Mapping[str, ModelFacts]
    ) -> None:
        """Check what names a prediction, if the log answers at once; else the build will."""
        named = [
            (one, one.record)
            for one in verdicts
            if one.record is not None and one.record.prediction_id is not None
        ]
        if not named:
            return
        found = await self._look_up({record.prediction_id or "" for _, record in named})
        if found is None:
            return
        now = self._clock()
        for verdict, record in named:
            try:
                check_prediction(
                    record,
                    found.get(record.prediction_id or ""),
                    timedelta(days=models[record.model].window_days),
                    received=now,
                )
            except InvalidInput as error:
                verdict.refuse(error)

    async def _look_up(self, ids: set[str]) -> Found:
        future, done = self._found.expect()
        self._predictions.look_up(ids, done)
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                return await future
        except TimeoutError:
            return None

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
            content_encoding=message.content_encoding,
        )
