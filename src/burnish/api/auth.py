"""Who asks: every route wants the administrator's token unless it says otherwise in `opt`."""

import hashlib
import hmac
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from burnish.api.control import Control
from burnish.kernel.audit import Actor
from burnish.kernel.auth import Claims, Scope, TokenForeign, TokenInvalid, bearer
from burnish.kernel.trace import parse_traceparent

Connection = ASGIConnection[Any, Any, Any, Any]
Asked = Request[Any, Any, State]  # a request, as handlers see it

OPEN: Final = {"auth": "open"}  # for probes and presigned URLs, which carry their own proof
CALLBACK: Final = {"auth": Scope.TRAINING_CALLBACK}
REPLICA: Final = {"auth": Scope.REPLICA}


def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let the request pass and note who asks. Raises Unauthenticated or Forbidden."""
    control: Control = connection.app.state.control
    wanted = handler.opt.get("auth")
    trace = parse_traceparent(connection.headers.get("traceparent"))
    trace_id = trace.trace_id if trace else control.ids().replace("-", "")
    connection.state.actor = Actor(name="anyone", trace_id=trace_id)
    if wanted == "open":
        return
    token = bearer(connection.headers.get("authorization"))
    if _is_admin(control, token) and wanted != Scope.TRAINING_CALLBACK:
        connection.state.actor = Actor(name="admin", trace_id=trace_id)
        return
    if token.startswith("bn_"):
        raise TokenInvalid("The token is not one of ours, or not for this.")
    claims = control.tokens.verify(token, now=control.clock(), scope=wanted or "admin")
    connection.state.claims = claims
    connection.state.actor = Actor(name=claims.subject, trace_id=trace_id)


def actor_of(request: Connection) -> Actor:
    """Return who asks, as the guard has noted."""
    actor: Actor = request.state.actor
    return actor


def attempt_of(request: Connection, job_id: str) -> int:
    """Return the attempt that a callback token speaks for. Raises TokenForeign."""
    claims: Claims = request.state.claims
    if claims.extra.get("job_id") != job_id:
        raise TokenForeign(f"The token is another job's: it cannot speak for {job_id}.")
    return int(claims.extra["attempt"])


def _is_admin(control: Control, token: str) -> bool:
    said = hashlib.sha256(token.encode()).hexdigest()
    return hmac.compare_digest(said, control.admin_token_sha256)
