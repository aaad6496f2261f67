"""Tokens: what holds, what does not, and that each way of not holding has its own code."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.adapters.tokens import JwtTokens
from burnish.kernel.auth import (
    Scope,
    TokenEnded,
    TokenExpired,
    TokenForeign,
    TokenInvalid,
    bearer,
)
from burnish.kernel.errors import Forbidden, Unauthenticated
from burnish.rim import problem

KEY = bytes(range(32))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOURS_6 = timedelta(hours=6)
TOKENS = JwtTokens({"1": KEY})


def callback_token(now: datetime = NOW) -> str:
    return TOKENS.issue(
        "job:7",
        Scope.TRAINING_CALLBACK,
        now=now,
        lifetime=HOURS_6,
        extra={"job_id": "7", "attempt": 2},
    )


def test_a_token_says_what_it_was_issued_with() -> None:
    claims = TOKENS.verify(callback_token(), now=NOW, scope=Scope.TRAINING_CALLBACK)
    assert (claims.subject, claims.scope) == ("job:7", "training-callback")
    assert claims.extra == {"job_id": "7", "attempt": 2}
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + HOURS_6)


def test_it_carries_the_key_id_and_exactly_one_algorithm() -> None:
    header = jwt.get_unverified_header(callback_token())
    assert (header["kid"], header["alg"]) == ("1", "HS256")


def test_it_holds_until_its_time_and_no_longer() -> None:
    token = callback_token()
    assert TOKENS.verify(token, now=NOW + HOURS_6 - timedelta(seconds=1)).subject == "job:7"
    with pytest.raises(TokenExpired):
        TOKENS.verify(token, now=NOW + HOURS_6)


def test_a_token_from_the_future_does_not_hold() -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(callback_token(NOW + timedelta(minutes=1)), now=NOW)


def test_another_scope_is_forbidden_not_unauthenticated() -> None:
    with pytest.raises(Forbidden):
        TOKENS.verify(callback_token(), now=NOW, scope=Scope.REPLICA)


def test_keys_rotate_by_their_id() -> None:
    both = JwtTokens({"1": KEY, "2": bytes(32)}, signing="2")
    newer = both.issue("a", Scope.REPLICA, now=NOW, lifetime=HOURS_6)
    assert both.verify(callback_token(), now=NOW).subject == "job:7"
    assert both.verify(newer, now=NOW).subject == "a"
    with pytest.raises(TokenInvalid):
        TOKENS.verify(newer, now=NOW)


def forged(header: dict[str, object], key: bytes = KEY, algorithm: str = "HS256") -> str:
    claims = {"sub": "x", "scope": "replica", "iat": 1, "exp": 9_999_999_999}
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)


def unsigned() -> str:
    parts = [{"alg": "none", "kid": "1"}, {"sub": "x", "scope": "replica", "iat": 1, "exp": 9**12}]
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*coded, ""])


@pytest.mark.parametrize(
    "token",
    [
        "",
        "bn_" + "a" * 43,
        "a.b.c",
        forged({"kid": "1"}, key=bytes(32)),
        forged({}),
        forged({"kid": "2"}),
        forged({"kid": "1"}, key=KEY * 2, algorithm="HS512"),
        unsigned(),
        jwt.encode({"sub": "x"}, KEY, headers={"kid": "1"}),
        jwt.encode(
            {"sub": "x", "scope": "y", "iat": "then", "exp": "soon"}, KEY, headers={"kid": "1"}
        ),
    ],
)
def test_what_is_not_ours_is_invalid(token: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(token, now=NOW)


@given(position=st.integers(0, 200), replacement=st.characters(codec="ascii"))
def test_a_changed_token_never_claims_anything_else(position: int, replacement: str) -> None:
    token = callback_token()
    position %= len(token)
    changed = token[:position] + replacement + token[position + 1 :]
    try:
        claims = TOKENS.verify(changed, now=NOW)
    except TokenInvalid:
        return
    assert claims == TOKENS.verify(token, now=NOW)


def test_each_refusal_has_its_own_code_and_the_right_status() -> None:
    told = {
        error.code: problem(error("no"))[0]
        for error in (
            Unauthenticated,
            TokenInvalid,
            TokenExpired,
            TokenForeign,
            TokenEnded,
            Forbidden,
        )
    }
    assert told == {
        "auth.required": 401,
        "auth.invalid": 401,
        "auth.expired": 401,
        "auth.foreign": 401,
        "auth.ended": 401,
        "auth.scope": 403,
    }


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic abc", "abc"])
def test_a_header_without_a_token_asks_for_one(header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        bearer(header)
