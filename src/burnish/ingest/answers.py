"""What the front answers: structs, of which the OpenAPI document is made too."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from burnish.feedback.model import Outcome


class Accepted(Struct, frozen=True, gc=False):
    """The record is durable: now, or since its first copy."""

    source: Annotated[str, Meta(description="Of its identity.")]
    id: Annotated[str, Meta(description="Of its identity.")]
    offset: Annotated[int, Meta(ge=0, description="Its place in its shard of the raw log.")]
    shard: Annotated[str, Meta(description="The raw log's part that it is in.")]
    duplicate: Annotated[bool, Meta(description="true: it was there already.")]


class Line(Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of one record of a batch."""

    index: Annotated[int, Meta(ge=0, description="Its line, or its place in the array, from 0.")]
    status: Annotated[int, Meta(description="What it would have been answered by itself.")]
    code: Annotated[str, Meta(description="accepted, duplicate, or the code of its problem.")]
    offset: Annotated[
        int | UnsetType, Meta(description="Its place in the raw log, if it is there.")
    ] = UNSET
    detail: Annotated[str | UnsetType, Meta(description="What is wrong, and the fix.")] = UNSET

    @classmethod
    def kept(cls, index: int, status: int, outcome: Outcome, offset: int) -> "Line":
        """Return the line of a record that is durable."""
        return cls(index, status, outcome.value, offset=offset)


class Results(Struct, frozen=True):
    """What became of each record of a batch; blank lines have no result."""

    results: list[Line]


class Place(Struct, frozen=True):
    """Where an accepted record stands, in the spool or in the raw log."""

    shard: str
    offset: Annotated[int, Meta(ge=0)]


class Sealed(Struct, frozen=True):
    """Everything before the offset is in the raw log."""

    shard: str
    persisted_offset: Annotated[int, Meta(ge=0)]


class Health(Struct, frozen=True, omit_defaults=True):
    """How the process is."""

    status: Annotated[str, Meta(description="ok, degraded, or unavailable.")]
    reasons: Annotated[
        list[str], Meta(description="Why it takes no records, or not all that it should.")
    ] = []


class Problem(Struct, frozen=True):
    """A problem document (RFC 9457); further members depend on the code."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Meta(description="What is wrong, and the fix.")]
    code: Annotated[str, Meta(description="Stable: what a program may decide by.")]
    trace_id: Annotated[str, Meta(description="Ties the answer to our log.")]
