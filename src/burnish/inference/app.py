"""The ASGI application of a serving replica: routes, refusals, and what runs in which thread.

The event loop reads, routes and writes; decoding an image and running the model happen in a small
pool of threads, because both release the interpreter's lock and take longer than the hop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog

from burnish import imaging
from burnish.inference import oip
from burnish.inference.errors import MethodNotAllowed, RouteUnknown, UnsupportedMedia
from burnish.inference.gate import Gate
from burnish.inference.http import (
    Bodies,
    ClientGone,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
)
from burnish.inference.metrics import InferenceMetrics
from burnish.inference.plane import DataPlane, check_version
from burnish.inference.replies import predict_reply, refusal
from burnish.kernel.errors import BurnishError
from burnish.kernel.trace import TraceContext, format_traceparent, parse_traceparent

SPAN: Final = 16  # hex digits of a span id
MEBIBYTE: Final = 1 << 20
MAX_BODY: Final = 20 * MEBIBYTE
MAX_BODIES: Final = 256 * MEBIBYTE  # of all requests together
PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a replica takes on at once."""

    threads: int = 2  # that decode and predict
    in_flight: int = 64  # requests; one beyond gets 429
    body_bytes: int = MAX_BODY
    bodies_bytes: int = MAX_BODIES


class InferenceApp:
    """Predict, the Open Inference Protocol, health and metrics.

    `unready` returns why the replica should get no requests, `authorize` raises Unauthenticated
    or Forbidden for an `Authorization` header that may not predict (None: predicting is open).
    """

    def __init__(
        self,
        plane: DataPlane,
        metrics: InferenceMetrics,
        *,
        unready: Callable[[], list[str]],
        perf: Callable[[], float],
        new_trace_id: Callable[[], str],
        version: str,
        limits: Limits | None = None,
        authorize: Callable[[str | None], None] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._plane = plane
        self._metrics = metrics
        self._unready = unready
        self._perf = perf
        self._new_trace_id = new_trace_id
        self._version = version
        self._authorize = authorize
        self._gate = Gate(limits.in_flight, limits.threads)
        self._bodies = Bodies(each=limits.body_bytes, together=limits.bodies_bytes)
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="predict")
        self._draining = False
        self._log = structlog.get_logger("inference")

    def drain(self) -> None:
        """Turn unready, so that nobody sends more; what is in flight is answered."""
        self._draining = True

    def close(self) -> None:
        """End the threads, after the server has stopped."""
        self._pool.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        started = self._perf()
        request = Request.of(scope, receive)
        trace = self._trace(request)
        try:
            response = await self._route(request)
        except ClientGone:
            return
        except BurnishError as error:
            response = refusal(request, error)
        except Exception:  # noqa: BLE001  a client gets an answer whatever went wrong
            self._log.exception(
                "request failed", path="/".join(request.path), trace_id=trace.trace_id
            )
            response = refusal(request, BurnishError("This is our mistake; it has been logged."))
        with suppress(ConnectionError):
            await response.send(send, ((b"traceparent", format_traceparent(trace).encode()),))
        self._count(request, response, self._perf() - started)

    async def _route(self, request: Request) -> Response:
        match request.path:
            case ("v1", "models", model, "predict"):
                _only(request, "POST")
                return await self._predict(request, model)
            case ("v2", "models", model, *version, "infer"):
                _only(request, "POST")
                return await self._infer(request, model, _version(version))
            case ("v2", *rest):
                _only(request, "GET")
                return self._describe(rest)
            case ("healthz",):
                _only(request, "GET")
                return json_response({"status": "ok"})
            case ("readyz",):
                _only(request, "GET")
                reasons = self._reasons()
                document = (
                    {"status": "unready", "reasons": reasons} if reasons else {"status": "ok"}
                )
                return json_response(document, 503 if reasons else 200)
            case ("metrics",):
                _only(request, "GET")
                body = self._metrics.exposition()
                return Response(status=200, body=body, content_type=PROMETHEUS)
        raise RouteUnknown.of("route", "/" + "/".join(request.path))

    def _describe(self, path: list[str]) -> Response:
        router = self._plane.router
        match path:
            case []:
                return json_response(oip.server_metadata(self._version))
            case ["health", "live"]:
                return json_response({"live": True})
            case ["health", "ready"]:
                ready = not self._reasons()
                return json_response({"ready": ready}, 200 if ready else 503)
            case ["models", model, *version, "ready"]:
                check_version(slot := router.slot(model), _version(version))
                return json_response({"name": slot.model, "ready": True})
            case ["models", model, *version]:
                check_version(slot := router.slot(model), _version(version))
                return json_response(oip.model_metadata(slot))
        raise RouteUnknown.of("route", "/v2/" + "/".join(path))

    async def _predict(self, request: Request, model: str) -> Response:
        media = request.media_type
        if media and media != "application/octet-stream" and not media.startswith("image/"):
            raise UnsupportedMedia(
                f"The content type is {media!r}: send image/* or application/octet-stream."
            )

        def compute(body: bytes) -> tuple[dict[str, Any], str]:
            image = imaging.decode(body)
            answer = self._plane.answer(model, image[None], payloads=(body,))
            return predict_reply(answer), answer.model_version

        return await self._run(request, model, compute)

    async def _infer(self, request: Request, model: str, version: str | None) -> Response:
        def compute(body: bytes) -> tuple[dict[str, Any], str]:
            asked = oip.parse(body)
            answer = self._plane.answer(model, oip.images(asked), version=version)
            return oip.reply(asked, answer), answer.model_version

        return await self._run(request, model, compute)

    async def _run(
        self, request: Request, model: str, compute: Callable[[bytes], tuple[dict[str, Any], str]]
    ) -> Response:
        """Read the body, compute in the pool, encode there too; bounded in number and bytes."""
        if self._authorize is not None:
            header = request.headers.get(b"authorization")
            self._authorize(header.decode("latin-1") if header is not None else None)
        if b"content-encoding" in request.headers:
            raise UnsupportedMedia("The body is encoded: send it without Content-Encoding.")
        self._plane.router.slot(model)  # refuse before reading what nobody will answer
        body = await self._bodies.read(request)

        def work() -> Response:
            document, version = compute(body)
            return Response(status=200, body=msgspec.json.encode(document), version=version)

        try:
            self._gate.enter()
            self._metrics.in_flight(self._gate.in_flight)
            entered = self._perf()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
            finally:
                self._gate.leave(self._perf() - entered)
                self._metrics.in_flight(self._gate.in_flight)
        finally:
            self._bodies.drop(body)

    def _trace(self, request: Request) -> TraceContext:
        """Return the trace that the request belongs to, a new one if it names none."""
        context = parse_traceparent(request.headers.get(b"traceparent", b"").decode("latin-1"))
        if context is not None:
            return context
        return TraceContext(trace_id=self._new_trace_id(), span_id=self._new_trace_id()[:SPAN])

    def _reasons(self) -> list[str]:
        return ["draining"] if self._draining else self._unready()

    def _count(self, request: Request, response: Response, seconds: float) -> None:
        match request.path:
            case ("v1" | "v2", "models", model, *_) if request.method == "POST":
                known = model if model in self._plane.router.slots() else ""
                self._metrics.answered(known, response.version, response.status, seconds)


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise MethodNotAllowed(f"The method is {request.method}: use {method}.", allow=method)


def _version(segments: list[str]) -> str | None:
    """Return the version that `["versions", "1.2.3"]` names, None if there are no segments."""
    match segments:
        case []:
            return None
        case ["versions", version]:
            return version
    raise RouteUnknown.of("route", "/".join(segments))
