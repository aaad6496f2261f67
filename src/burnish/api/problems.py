"""Every error leaves as a problem document, with a stable code."""

from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from burnish import rim
from burnish.kernel.errors import BurnishError, InvalidInput

_log = structlog.get_logger()

_CODES: Final = {  # of errors that the framework finds
    400: "request.malformed",
    404: "not_found",
    405: "request.method_not_allowed",
    413: "request.too_large",
    415: "request.media_type",
}


class Problem(Struct, kw_only=True):
    """An RFC 9457 problem document; `code` is stable, further members say what it is about."""

    type: str
    title: str
    status: int
    detail: str
    code: str


RESPONSES: Final = {
    status: ResponseSpec(
        data_container=Problem,
        description=description,
        media_type="application/problem+json",
        generate_examples=False,
    )
    for status, description in {
        400: "The request cannot be read.",
        401: "The credentials do not hold.",
        403: "The credentials may not do this.",
        404: "There is no such thing.",
        409: "It is not in the state that the request presumes.",
        412: "Somebody changed it first.",
        413: "The body is too large.",
        422: "A value is wrong; `detail` names the field and the fix.",
        428: "Send If-Match.",
        503: "A part that this needs does not answer.",
    }.items()
}


def on_burnish_error(_request: Request[Any, Any, Any], error: BurnishError) -> Response[Any]:
    """Answer an error of our own."""
    status, document = rim.problem(error)
    return Response(document, status_code=status, media_type=rim.MEDIA_TYPE)


def on_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer an error that the framework found."""
    detail = error.detail
    if isinstance(error.extra, list) and error.extra:
        detail = "; ".join(
            f"{item.get('key', 'body')}: {item.get('message', '')}"
            for item in error.extra
            if isinstance(item, dict)
        )
    document = {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": error.status_code,
        "detail": detail,
        "code": _CODES.get(error.status_code, f"http.{error.status_code}"),
    }
    headers = dict(error.headers or {})
    return Response(
        document, status_code=error.status_code, media_type=rim.MEDIA_TYPE, headers=headers
    )


def on_value_error(request: Request[Any, Any, Any], error: ValueError) -> Response[Any]:
    """Answer a value that a domain rule refused without naming its field."""
    return on_burnish_error(request, InvalidInput(str(error)))


def on_unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Log what nobody foresaw, and answer without giving anything away."""
    _log.error("request failed", path=request.url.path, exc_info=error)
    return on_burnish_error(
        request, BurnishError("Something broke here that is not your fault; the log has it.")
    )
