"""The root of the error tree. Every room adds its own branch in its `model.py`.

    BurnishError                 code                 meaning
    ├── InvalidInput             input.invalid        a field holds what it must not
    │   └── Unreadable           request.malformed    the bytes are not what they claim
    ├── NotFound                 not_found            no such thing
    ├── Conflict                 conflict             it is not in the state presumed
    │   ├── IllegalTransition    state.illegal        the state machine has no such arrow
    │   └── Stale                state.stale          someone else changed it first
    ├── Unauthenticated          auth.*               no, bad or expired credentials
    ├── Forbidden                auth.scope           good credentials that may not do this
    └── Unavailable              unavailable          a part we depend on does not answer; try again

Errors know no HTTP: the rim maps codes to problem documents in one table.
"""

from typing import ClassVar, Self


class BurnishError(Exception):
    """Something that a caller can act on: a stable `code`, a sentence, and facts to go with it."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, **facts: "str | float | None") -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def forget_frames(self) -> Self:
        """Return it without the frames that it and its causes came through; logs want no trace.

        What those frames hold lives as long as the error. If that is the error itself, all of it
        lives until the garbage collector finds the ring.
        """
        link: BaseException | None = self
        while link is not None:
            link.__traceback__ = None
            link = link.__cause__ or link.__context__
        return self


class InvalidInput(BurnishError):
    """A field holds a value that it must not; the message names field, value and fix."""

    code = "input.invalid"

    @classmethod
    def of(cls, field: str, value: object, fix: str) -> Self:
        """Build the error for one field.

        >>> InvalidInput.of("labels", [], "name at least two labels").detail
        'labels is []: name at least two labels'
        """
        return cls(f"{field} is {value!r}: {fix}", field=field, value=str(value)[:200], fix=fix)


class Unreadable(InvalidInput):
    """The bytes are not in the format that they claim to be in: no field can be named."""

    code = "request.malformed"


class NotFound(BurnishError):
    """There is no such thing."""

    code = "not_found"

    @classmethod
    def of(cls, noun: str, key: str) -> Self:
        """Build the error for one thing, by its noun and its key."""
        return cls(f"There is no {noun} {key!r}.", noun=noun, key=key)


class Conflict(BurnishError):
    """The thing is not in the state that the request presumes."""

    code = "conflict"


class IllegalTransition(Conflict):
    """The state machine of the noun has no such arrow."""

    code = "state.illegal"


class Stale(Conflict):
    """Somebody else changed it first: read it again, then decide again."""

    code = "state.stale"


class Unauthenticated(BurnishError):
    """No credentials, or credentials that do not hold."""

    code = "auth.required"


class Forbidden(BurnishError):
    """Good credentials, which may not do this."""

    code = "auth.scope"


class Unavailable(BurnishError):
    """A part that we depend on does not answer; the request may be repeated."""

    code = "unavailable"
