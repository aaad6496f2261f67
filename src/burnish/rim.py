"""How errors leave the house: one table from codes to HTTP, one shape of problem document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from burnish.kernel.errors import (
    BurnishError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unreadable,
)

MEDIA_TYPE: Final = "application/problem+json"

# Single codes that their branch of the error tree would answer otherwise.
BY_CODE: Final[Mapping[str, HTTPStatus]] = {
    "request.timeout": HTTPStatus.REQUEST_TIMEOUT,
    "request.method": HTTPStatus.METHOD_NOT_ALLOWED,
    "request.method_unknown": HTTPStatus.NOT_IMPLEMENTED,
    "request.head_too_large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "request.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "request.media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "request.encoding": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "tensor.invalid": HTTPStatus.BAD_REQUEST,
    "request.precondition_required": HTTPStatus.PRECONDITION_REQUIRED,
    "state.stale": HTTPStatus.PRECONDITION_FAILED,
    "image.unreadable": HTTPStatus.UNPROCESSABLE_ENTITY,
    "backpressure": HTTPStatus.TOO_MANY_REQUESTS,
}

BY_BRANCH: Final[tuple[tuple[type[BurnishError], HTTPStatus], ...]] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Unreadable, HTTPStatus.BAD_REQUEST),  # before its parent
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(error: BurnishError) -> tuple[int, dict[str, Any]]:
    """Return the status and the RFC 9457 problem document of an error.

    >>> status, document = problem(NotFound.of("run", "7"))
    >>> status, document["code"], document["detail"]
    (404, 'not_found', "There is no run '7'.")
    """
    status = BY_CODE.get(error.code) or next(
        (status for branch, status in BY_BRANCH if isinstance(error, branch)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    return status.value, {
        **error.facts,
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": error.detail,
        "code": error.code,
    }
