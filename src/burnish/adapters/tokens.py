"""Tokens as JSON Web Tokens: HS256 and nothing else, with a key id so that keys can rotate."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from burnish.kernel.auth import Claims, TokenExpired, TokenInvalid
from burnish.kernel.errors import Forbidden

ALGORITHM: Final = "HS256"
KEY_ID: Final = "1"
_OWN: Final = frozenset({"sub", "scope", "exp", "iat"})
_LEEWAY = timedelta(seconds=5)  # clocks of two machines in one cluster differ by less


class JwtTokens:
    """Issues and verifies our tokens with keys by id; the newest key signs."""

    def __init__(self, keys: Mapping[str, bytes], *, signing: str = KEY_ID) -> None:
        """Take the keys, each at least 32 bytes, and the id of the one that signs."""
        self._keys = dict(keys)
        self._signing = signing

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
        claims: dict[str, Any] = {
            **(extra or {}),
            "sub": subject,
            "scope": scope,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        key = self._keys[self._signing]
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": self._signing})

    def verify(self, token: str, *, now: datetime, scope: str | None = None) -> Claims:
        """Return what a token claims.

        Raises TokenInvalid, TokenExpired, or Forbidden if `scope` is given and is not its scope.
        """
        claims = _claims(self._decode(token))
        if now >= claims.expires_at:
            raise TokenExpired(f"The token expired at {claims.expires_at.isoformat()}.")
        if claims.issued_at > now + _LEEWAY:
            raise TokenInvalid("The token was issued in the future: compare the clocks.")
        if scope is not None and claims.scope != scope:
            raise Forbidden(
                f"The token's scope is {claims.scope!r}: this needs {scope!r}.", scope=claims.scope
            )
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            # The times are checked above, against a clock that came in as an argument.
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                options={"verify_exp": False, "verify_iat": False, "require": sorted(_OWN)},
            )
        except (jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise TokenInvalid("The token is not one of ours.") from error


def _claims(raw: dict[str, Any]) -> Claims:
    try:
        return Claims(
            subject=str(raw["sub"]),
            scope=str(raw["scope"]),
            issued_at=datetime.fromtimestamp(raw["iat"], UTC),
            expires_at=datetime.fromtimestamp(raw["exp"], UTC),
            extra={name: value for name, value in raw.items() if name not in _OWN},
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise TokenInvalid("The token's times cannot be read.") from error
