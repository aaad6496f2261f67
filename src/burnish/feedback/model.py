"""Feedback: one verdict of a person on one prediction, and the raw log that keeps them all."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Selection(StrEnum):
    """How the judged thing was chosen for judgement; unset means that a person came upon it."""

    UNCERTAINTY = "uncertainty"  # the model was unsure: never drawn into a holdout
    RANDOM = "random"  # a random share of predictions, offered for confirmation


class FeedbackRecord(Struct, frozen=True, kw_only=True):
    """One accepted record, immutable; `source` and `id` together identify it."""

    source: str
    id: str
    model: str
    subject_id: str
    final: str
    corrected: bool
    occurred_at: datetime
    schema_version: int
    predicted: str | None = None  # None: nothing had predicted yet, as for a first model's labels
    prediction_id: str | None = None
    selection: Selection | None = None
    payload: str | None = None  # URI; None when `prediction_id` names a captured input
    actor: str | None = None
    reason: str | None = None
    reason_code: str | None = None


class RawRecord(Struct, frozen=True, kw_only=True):
    """One line of the raw log: what came in, verbatim, with its place and time of receipt."""

    offset: int  # in its shard, from 0, without gaps
    received_at: datetime
    source: str
    id: str
    content_type: str
    body: str


class RawObject(Struct, frozen=True, kw_only=True):
    """One sealed range of the raw log on object storage; its manifest row."""

    shard: str
    first_offset: int
    last_offset: int  # inclusive
    key: str
    sha256: str
    records: int
    bytes: int  # compressed
