"""Conditional requests: an ETag is the revision or generation of what it tags."""

import re
from typing import Final

from burnish.kernel.errors import Conflict, InvalidInput

_TAG: Final = re.compile(r'"(\d+)"')


class PreconditionRequired(Conflict):
    """The change can go stale: it must say from what it starts."""

    code = "request.precondition_required"


def etag(number: int) -> str:
    """Return the ETag of a revision or generation."""
    return f'"{number}"'


def expected(if_match: str | None, what: str) -> int:
    """Return the number in If-Match. Raises PreconditionRequired, InvalidInput."""
    if if_match is None:
        raise PreconditionRequired(f"Send If-Match with {what}, in quotes, as its ETag says.")
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise InvalidInput.of("If-Match", if_match, f"send {what} in quotes, as its ETag says")
    return int(match[1])
