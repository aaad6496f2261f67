"""The feedback front: raw ASGI, because a framework costs more than everything it would do here."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct

from burnish.feedback.model import Published
from burnish.feedback.parse import PLAIN, attributes
from burnish.feedback.ports import (
    Directory,
    FeedbackLog,
    Meter,
    Quarantine,
    QueueReader,
    Sealer,
)
from burnish.ingest.completions import Completions
from burnish.ingest.http import (
    Answer,
    Gone,
    Receive,
    Request,
    Scope,
    Send,
    json_answer,
    problem_answer,
    respond,
)
from burnish.ingest.records import Message, Records
from burnish.kernel.clock import Clock
from burnish.kernel.errors import (
    BurnishError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from burnish.kernel.trace import parse_traceparent

_log = structlog.get_logger("burnish.ingest")

ROLES: Final = frozenset({"admin", "reviewer"})  # who may judge
_BEARER: Final = "bearer "
_METRICS: Final = "text/plain; version=1.0.0; charset=utf-8"
_MAX_CONTENT_TYPE: Final = 255

Handler = Callable[[Request], Awaitable[Answer]]


class WrongMethod(InvalidInput):
    """The path exists, but not for this method."""

    code = "request.method"


class IngestLimits(Struct, frozen=True, kw_only=True):
    """How much and how long a request may be."""

    record_bytes: int = 1 << 20
    batch_bytes: int = 16 << 20
    body_deadline_s: float = 30.0  # for all of a body to arrive
    seal_deadline_s: float = 30.0  # for a seal to be persisted


class IngestApp:
    """The ASGI application.

    Args:
        log: keeps accepted records.
        quarantine: keeps the others.
        sealer: persists on request.
        directory: models and keys.
        meter: counts, and renders `/metrics`.
        clock: gives the time of a rejection.
        new_trace_id: makes one for a request that has none.
        limits: of requests.
        queues: the other ways in; one that is out of order degrades this one, no more.
    """

    def __init__(
        self,
        *,
        log: FeedbackLog,
        quarantine: Quarantine,
        sealer: Sealer,
        directory: Directory,
        meter: Meter,
        clock: Clock,
        new_trace_id: Callable[[], str],
        limits: IngestLimits | None = None,
        queues: Sequence[QueueReader] = (),
    ) -> None:
        self._limits = limits or IngestLimits()
        self._log, self._sealer, self._directory, self._meter = log, sealer, directory, meter
        self._new_trace_id, self._queues = new_trace_id, queues
        self._records = Records(
            log=log,
            quarantine=quarantine,
            meter=meter,
            clock=clock,
            cap=self._limits.record_bytes,
        )
        self._sealed: Completions[int] = Completions()
        self._routes: Mapping[str, tuple[str, Handler]] = {
            "/v1/feedback": ("POST", self._one),
            "/v1/feedback/batch": ("POST", self._batch),
            "/v1/seal": ("POST", self._seal),
            "/healthz": ("GET", self._healthz),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._metrics),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        trace_id = self._trace_id(request)
        try:
            answer = await self._handler(request)(request)
        except Gone:
            return
        except BurnishError as error:
            _log.info("request.refused", trace_id=trace_id, path=request.path, code=error.code)
            answer = problem_answer(error, trace_id)
        except Exception:  # noqa: BLE001 - one request's mistake is answered, and logged, as such
            _log.exception("request.failed", trace_id=trace_id, path=request.path)
            answer = problem_answer(BurnishError("Our mistake; it is in the log."), trace_id)
        await respond(send, answer)

    def _handler(self, request: Request) -> Handler:
        method, handler = self._routes.get(request.path, (None, None))
        if handler is None:
            raise NotFound.of("path", request.path)
        if request.method != method:
            raise WrongMethod.of("method", request.method, f"use {method}")
        return handler

    async def _one(self, request: Request) -> Answer:
        message, published = await self._message(request, self._limits.record_bytes)
        return json_answer(*await self._records.one(message, published))

    async def _batch(self, request: Request) -> Answer:
        message, published = await self._message(request, self._limits.batch_bytes)
        return json_answer(200, {"results": await self._records.batch(message, published)})

    async def _seal(self, request: Request) -> Answer:
        self._authorised(request)
        future, done = self._sealed.expect()
        self._sealer.seal(done)
        try:
            async with asyncio.timeout(self._limits.seal_deadline_s):
                persisted = await future
        except TimeoutError:
            raise Unavailable(
                "The raw log does not take the records yet: the object store or the database "
                "does not answer. Nothing is lost; try again.",
                retry_after=1,
            ) from None
        return json_answer(200, {"shard": self._log.shard, "persisted_offset": persisted})

    async def _healthz(self, _request: Request) -> Answer:
        return json_answer(200, {"status": "ok"})

    async def _readyz(self, _request: Request) -> Answer:
        reasons = []
        failure = self._log.failure()
        if failure is not None:
            reasons.append(f"spool: {failure}")
        try:
            self._directory.current()
        except Unavailable as error:
            reasons.append(f"directory: {error.detail}")
        if reasons:
            return json_answer(503, {"status": "unavailable", "reasons": reasons})
        troubles = [(queue.name, queue.trouble()) for queue in self._queues]
        degraded = [f"{name}: {trouble}" for name, trouble in troubles if trouble is not None]
        if degraded:
            return json_answer(200, {"status": "degraded", "reasons": degraded})
        return json_answer(200, {"status": "ok"})

    async def _metrics(self, _request: Request) -> Answer:
        return Answer(200, self._meter.render(), _METRICS)

    async def _message(self, request: Request, cap: int) -> tuple[Message, Published]:
        """Return what was sent, from someone who may, and the models it may speak of.

        What fails here is kept nowhere: it comes from nobody we know, or is too much to keep.
        """
        try:
            published = self._authorised(request)
            body = await request.body(cap=cap, deadline_s=self._limits.body_deadline_s)
        except BurnishError as error:
            self._meter.rejected(error.code)
            raise
        content_type = (request.header(b"content-type") or PLAIN)[:_MAX_CONTENT_TYPE]
        return Message(body, content_type, attributes(request.headers)), published

    def _authorised(self, request: Request) -> Published:
        """Return the directory if the bearer may judge. Raises Unauthenticated, Forbidden."""
        published = self._directory.current()
        given = request.header(b"authorization") or ""
        if not given.lower().startswith(_BEARER):
            raise Unauthenticated("Send Authorization: Bearer <token>.")
        name = hashlib.sha256(given[len(_BEARER) :].strip().encode("latin-1")).hexdigest()
        key = next((key for key in published.keys if key.sha256 == name), None)
        if key is None:
            raise Unauthenticated("The token is not known here, or was revoked.")
        if key.role not in ROLES:
            raise Forbidden(f"The token's role {key.role!r} may not send feedback.")
        return published

    def _trace_id(self, request: Request) -> str:
        context = parse_traceparent(request.header(b"traceparent"))
        return context.trace_id if context else self._new_trace_id()
