"""Credentials: what a token claims, and each way in which one fails to hold.

Unauthenticated   auth.required   no credentials were shown
├── TokenInvalid  auth.invalid    not a token of ours, or changed on its way
├── TokenExpired  auth.expired    its time is over
├── TokenForeign  auth.foreign    a good token, but another thing's: another job, another attempt
└── TokenEnded    auth.ended      what it was made for has ended
Forbidden         auth.scope      a good token that may not do this
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from burnish.kernel.errors import Unauthenticated


class Scope(StrEnum):
    """What a token is for; one token, one scope."""

    REPLICA = "replica"  # a serving process reports and fetches
    TRAINING_CALLBACK = "training-callback"  # one attempt of one job calls back


class TokenInvalid(Unauthenticated):
    """It is no token of ours: unreadable, signed by another key, or another algorithm."""

    code = "auth.invalid"


class TokenExpired(Unauthenticated):
    """The token held once; its time is over."""

    code = "auth.expired"


class TokenForeign(Unauthenticated):
    """The token holds, for another thing than the one it was shown for."""

    code = "auth.foreign"


class TokenEnded(Unauthenticated):
    """The token holds, but what it was made for has ended; its bearer should stop."""

    code = "auth.ended"


class Claims(Struct, frozen=True, kw_only=True):
    """What a verified token says."""

    subject: str  # who bears it: a job, a replica
    scope: str
    issued_at: datetime
    expires_at: datetime
    extra: dict[str, str | int] = field(default_factory=dict)  # `job_id`, `attempt`


class Tokens(Protocol):
    """Makes and checks tokens, without asking anyone."""

    def issue(
        self,
        subject: str,
        scope: str,
        *,
        now: datetime,
        lifetime: timedelta,
        extra: dict[str, str | int] | None = None,
    ) -> str:
        """Return a token that holds from `now` for `lifetime`."""
        ...

    def verify(self, token: str, *, now: datetime, scope: str | None = None) -> Claims:
        """Return what a token claims.

        Raises TokenInvalid, TokenExpired, or Forbidden if `scope` is given and is not its scope.
        """
        ...


def bearer(authorization: str | None) -> str:
    """Return the token in an `Authorization` header. Raises Unauthenticated if there is none.

    >>> bearer("Bearer abc")
    'abc'
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Show a token: send the header `Authorization: Bearer <token>`.")
    return token.strip()
