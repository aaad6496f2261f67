"""The feedback front: its routes, who may use them, and what each answers."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct

from burnish.feedback.journey import FeedbackUnknown
from burnish.feedback.model import MalformedFeedback, Published
from burnish.feedback.parse import PLAIN
from burnish.feedback.ports import (
    Directory,
    FeedbackLog,
    Meter,
    QueueReader,
    Sealer,
)
from burnish.ingest import openapi
from burnish.ingest.answers import Health, Place, Sealed
from burnish.ingest.bodies import Gone, Hold, InFlight, expanded
from burnish.ingest.completions import Completions
from burnish.ingest.connections import Respond
from burnish.ingest.encodings import UnknownEncoding, expander
from burnish.ingest.http import (
    Answer,
    Request,
    TooSlow,
    WrongMethod,
    json_answer,
    problem_answer,
)
from burnish.ingest.messages import Message
from burnish.ingest.records import One, Records
from burnish.kernel.errors import (
    BurnishError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unreadable,
)
from burnish.kernel.trace import parse_traceparent

_log = structlog.get_logger("burnish.ingest")

ROLES: Final = frozenset({"admin", "reviewer"})  # who may judge
_ONE: Final = "/v1/feedback"
_BEARER: Final = "bearer "
_MAX_CONTENT_TYPE: Final = 255
_SHOWN: Final = 80  # characters of a path or method, in an error
_GET: Final = "GET"

Handler = Callable[[Request], Awaitable[Answer]]


class IngestLimits(Struct, frozen=True, kw_only=True):
    """How much and how long a request may be."""

    record_bytes: int = 1 << 20
    batch_bytes: int = 16 << 20
    in_flight_bytes: int = 64 << 20  # of bodies in memory at once
    body_deadline_s: float = 30.0  # for all of a body to arrive
    seal_deadline_s: float = 30.0  # for a seal to be persisted


class IngestApp:
    """What answers a request.

    Args:
        records: judges and keeps what is sent.
        log: where it keeps what is accepted.
        sealer: persists on request.
        directory: models and keys.
        meter: renders `/metrics`.
        new_trace_id: makes one for a request that has none.
        limits: of requests.
        queues: the other ways in; one that is out of order degrades this one, no more.
    """

    def __init__(
        self,
        *,
        records: Records,
        log: FeedbackLog,
        sealer: Sealer,
        directory: Directory,
        meter: Meter,
        new_trace_id: Callable[[], str],
        limits: IngestLimits | None = None,
        queues: Sequence[QueueReader] = (),
    ) -> None:
        self._limits = limits or IngestLimits()
        self._records, self._log, self._sealer = records, log, sealer
        self._directory, self._meter = directory, meter
        self._new_trace_id, self._queues = new_trace_id, queues
        self._in_flight = InFlight(self._limits.in_flight_bytes)
        self._sealed: Completions[int] = Completions()
        self._found: Completions[int | BurnishError | None] = Completions()
        self._tasks: set[asyncio.Task[Answer | None]] = set()
        self._looked_up: Published | None = None
        self._welcome: tuple[Published, bytes] | None = None
        self._openapi = openapi.document()
        self._routes: Mapping[str, tuple[str, Handler]] = {
            _ONE: ("POST", self._one),
            "/v1/feedback/batch": ("POST", self._batch),
            "/v1/feedback/place": ("GET", self._place),
            "/v1/seal": ("POST", self._seal),
            "/healthz": ("GET", self._healthz),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", self._document),
        }

    def __call__(self, request: Request, respond: Respond) -> None:
        """Begin to answer a request; `respond` is told None if its client has left."""
        if not self._quickly(request, respond):
            self._at_length(request, respond)

    def _quickly(self, request: Request, respond: Respond) -> bool:
        """Take a record that is all there, without a task that waits for it.

        Tell whether it may be one with which nothing is wrong: any other is answered at length.
        """
        head, body = request.head, request.incoming
        if head.path != _ONE or head.method != "POST" or head.content_encoding or not body.ended:
            return False
        hold = self._in_flight.hold()

        def done(given: One | BurnishError | None) -> None:
            hold.end()
            if given is None:
                self._at_length(request, respond)
            elif isinstance(given, BurnishError):
                respond(self._refused(request, given))
            else:
                respond(json_answer(*given))

        try:
            published = self._authorised(request)
            data = body.whole_now(hold, cap=self._limits.record_bytes)
            message = Message(data, (head.content_type or PLAIN)[:_MAX_CONTENT_TYPE], head.ce)
            if self._records.quickly(message, published, done):
                return True
        except Exception:  # noqa: BLE001, S110 - it comes up again at length, and is answered there
            pass
        hold.end()
        return False

    def _at_length(self, request: Request, respond: Respond) -> None:
        def ended(task: asyncio.Task[Answer | None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():  # as at the process's end
                respond(task.result())

        task = asyncio.get_running_loop().create_task(self._answered(request))
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _answered(self, request: Request) -> Answer | None:
        """Return the answer to a request, None if its client has left."""
        try:
            return await self._answer(request)
        except Gone:
            return None
        except BurnishError as error:
            if not isinstance(error, TooSlow):
                await request.discard()
            return self._refused(request, error.forget_frames())
        except Exception:  # noqa: BLE001 - one request's mistake is answered, and logged, as such
            trace_id = self._trace_id(request)
            _log.exception("request.failed", trace_id=trace_id, path=request.head.path)
            return problem_answer(BurnishError("Our mistake; it is in the log."), trace_id)

    def _refused(self, request: Request, error: BurnishError) -> Answer:
        trace_id = self._trace_id(request)
        _log.info("request.refused", trace_id=trace_id, path=request.head.path, code=error.code)
        return problem_answer(error, trace_id)

    async def _answer(self, request: Request) -> Answer:
        method, handler = self._routes.get(request.head.path, (None, None))
        if method is None or handler is None:
            raise NotFound.of("path", request.head.path[:_SHOWN])
        allow = f"{method}, HEAD, OPTIONS" if method == _GET else f"{method}, OPTIONS"
        if request.head.method == "OPTIONS":
            return Answer(204, b"", headers=[("allow", allow)])
        if request.head.method != method and (request.head.method, method) != ("HEAD", _GET):
            raise WrongMethod(
                f"{request.head.method[:_SHOWN]} is no method of {request.head.path}: use {allow}.",
                allow=allow,
            )
        return await handler(request)

    async def _one(self, request: Request) -> Answer:
        with self._in_flight.hold() as hold:
            message, published = await self._message(request, hold, self._limits.record_bytes)
            return json_answer(*await self._records.one(message, published))

    async def _batch(self, request: Request) -> Answer:
        with self._in_flight.hold() as hold:
            message, published = await self._message(request, hold, self._limits.batch_bytes)
            return json_answer(200, await self._records.batch(message, published))

    async def _place(self, request: Request) -> Answer:
        """Say where an accepted record stands: also one that is in the spool alone."""
        self._authorised(request)
        source, id_ = request.head.parameter("source"), request.head.parameter("id")
        if source is None or id_ is None:
            raise InvalidInput("source and id are missing: name the record in the query.")
        future, done = self._found.expect()
        self._log.find(source, id_, done)
        offset = await future
        if isinstance(offset, BurnishError):
            raise offset
        if offset is None:
            raise FeedbackUnknown(f"This shard holds no record {id_!r} of source {source!r}.")
        return json_answer(200, Place(self._log.shard, offset))

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
        return json_answer(200, Sealed(self._log.shard, persisted))

    async def _healthz(self, _request: Request) -> Answer:
        return json_answer(200, Health("ok"))

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
            return json_answer(503, Health("unavailable", reasons))
        troubles = [(queue.name, queue.trouble()) for queue in self._queues]
        degraded = [f"{name}: {trouble}" for name, trouble in troubles if trouble is not None]
        if degraded:
            return json_answer(200, Health("degraded", degraded))
        return json_answer(200, Health("ok"))

    async def _metrics(self, _request: Request) -> Answer:
        return Answer(200, self._meter.render(), openapi.METRICS)

    async def _document(self, _request: Request) -> Answer:
        return Answer(200, self._openapi)

    async def _message(self, request: Request, hold: Hold, cap: int) -> tuple[Message, Published]:
        """Return what was sent, from someone who may, and the models it may speak of.

        What fails here is kept nowhere: it comes from nobody we know, or is too much to keep.
        """
        try:
            published = self._authorised(request)
            deadline_s = self._limits.body_deadline_s
            body = await request.body(hold, cap=cap, deadline_s=deadline_s)
            return await self._unwrapped(request, body, hold, cap), published
        except BurnishError as error:
            self._meter.rejected(error.code)
            raise

    async def _unwrapped(self, request: Request, body: bytes, hold: Hold, cap: int) -> Message:
        """Return the message in a body; if its wrapping is broken, with the reason why.

        Raises TooLarge or Backpressure for what it would become.
        """
        content_type = (request.head.content_type or PLAIN)[:_MAX_CONTENT_TYPE]
        encoding = request.head.content_encoding
        try:
            if encoding is not None and (expand := expander(encoding)) is not None:
                body = await expanded(body, expand, hold, cap=cap)
        except (UnknownEncoding, Unreadable) as error:
            named = (encoding or "")[:_MAX_CONTENT_TYPE]
            return Message(body, content_type, {}, error=error, content_encoding=named)
        try:
            return Message(body, content_type, request.head.ce)
        except MalformedFeedback as error:
            return Message(body, content_type, {}, error=error)

    def _authorised(self, request: Request) -> Published:
        """Return the directory if the bearer may judge. Raises Unauthenticated, Forbidden."""
        published = self._published()
        known = published, request.head.authority
        if known != self._welcome:  # who came last, which is nearly always who comes again
            self._authorise(published, request.head.header(b"authorization") or "")
            self._welcome = known
        return published

    def _published(self) -> Published:
        """Return the directory, looked for once in each turn of the event loop."""
        if self._looked_up is None:
            self._looked_up = self._directory.current()
            asyncio.get_running_loop().call_soon(self._look_again)
        return self._looked_up

    def _look_again(self) -> None:
        self._looked_up = None

    def _authorise(self, published: Published, given: str) -> None:
        if not given.lower().startswith(_BEARER):
            raise Unauthenticated("Send Authorization: Bearer <token>.")
        name = hashlib.sha256(given[len(_BEARER) :].strip().encode("latin-1")).hexdigest()
        key = next((key for key in published.keys if key.sha256 == name), None)
        if key is None:
            raise Unauthenticated("The token is not known here, or was revoked.")
        if key.role not in ROLES:
            raise Forbidden(f"The token's role {key.role!r} may not send feedback.")

    def _trace_id(self, request: Request) -> str:
        context = parse_traceparent(request.head.header(b"traceparent"))
        return context.trace_id if context else self._new_trace_id()
