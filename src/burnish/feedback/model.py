"""Feedback: one verdict of a person on one prediction, and the raw log that keeps them all.

InvalidInput
├── MalformedFeedback            malformed_feedback_event     it breaks its own schema
├── UnsupportedSchemaVersion     unsupported_schema_version   we have no such schema
├── UnknownModel                 unknown_model                no such model is published
├── UnknownLabel                 unknown_label                the model has no such label
├── PayloadNotAllowed            payload_not_allowed          a URI that no worker may read
├── UnsupportedMediaType         request.media_type           an event format that we do not read
├── PredictionRequired           prediction_required          the policy wants a prediction's id
├── PredictionUnknown            prediction_unknown           nobody gave this prediction
├── PredictionForeign            prediction_foreign           another model gave it
├── PredictionExpired            prediction_expired           it is too old to be judged
└── Unreadable
    └── NotJson                  malformed_feedback_event     the body is not JSON at all
Conflict
└── FeedbackConflict             feedback.conflict            the identity has another body
Unavailable
└── Backpressure                 backpressure                 the spool is full; come back later
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from burnish.kernel.errors import Conflict, InvalidInput, Unavailable, Unreadable
from burnish.kernel.policy import ModelPolicy


class MalformedFeedback(InvalidInput):
    """The record breaks its own schema; the message names field, value and fix."""

    code = "malformed_feedback_event"


class NotJson(Unreadable):
    """The body is not JSON: there is no record in it to speak of."""

    code = MalformedFeedback.code


class UnsupportedSchemaVersion(InvalidInput):
    """The record says that it follows a schema that we do not have."""

    code = "unsupported_schema_version"


class UnknownModel(InvalidInput):
    """No model of this name is published."""

    code = "unknown_model"


class UnknownLabel(InvalidInput):
    """The model has no such label."""

    code = "unknown_label"


class PayloadNotAllowed(InvalidInput):
    """The payload URI is outside the model's `payload.allow`: no worker may be made to read it."""

    code = "payload_not_allowed"


class UnsupportedMediaType(InvalidInput):
    """The content type names an event format that we do not read, or not on this path."""

    code = "request.media_type"


class PredictionRequired(InvalidInput):
    """The model's policy takes only judgements of its own predictions; this one names none."""

    code = "prediction_required"


class PredictionUnknown(InvalidInput):
    """The record names a prediction that nobody gave."""

    code = "prediction_unknown"


class PredictionForeign(InvalidInput):
    """The record names a prediction of another model."""

    code = "prediction_foreign"


class PredictionExpired(InvalidInput):
    """The record names a prediction that is older than the model's feedback window."""

    code = "prediction_expired"


class FeedbackConflict(Conflict):
    """A record with this source and id is already kept, and its body is another."""

    code = "feedback.conflict"


class Backpressure(Unavailable):
    """The spool is above its high water mark; fact `retry_after` says in how many seconds."""

    code = "backpressure"


class Selection(StrEnum):
    """How the judged thing was chosen for judgement; unset means that a person came upon it."""

    UNCERTAINTY = "uncertainty"  # the model was unsure: never drawn into a holdout
    RANDOM = "random"  # a random share of predictions, offered for confirmation


Label = str
Ranking = tuple[str, ...]  # document ids, best first, as a search answered
Grades = dict[str, float]  # document id -> relevance, 0 for none


class FeedbackRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One accepted record, immutable; `source` and `id` together identify it."""

    source: str
    id: str
    model: str
    subject_id: str
    final: Label | Grades
    corrected: bool
    occurred_at: datetime
    schema_version: int
    predicted: Label | Ranking | None = None  # None: nothing had, as for a first model's labels
    prediction_id: str | None = None
    selection: Selection | None = None
    payload: str | None = None  # URI; None when `prediction_id` names a captured input
    actor: str | None = None
    reason: str | None = None
    reason_code: str | None = None


# gc=False: builds hold hundreds of thousands at once, and none can be part of a cycle.
class RawRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line of the raw log: what came in, verbatim, with its place and time of receipt."""

    offset: int  # in its shard, from 0, without gaps
    received_at: datetime
    source: str
    id: str
    content_type: str
    body: str
    ce: dict[str, str] = field(default_factory=dict)  # attributes that came as headers


class RawObject(Struct, frozen=True, kw_only=True):
    """One sealed range of the raw log on object storage; its manifest row."""

    shard: str
    first_offset: int
    last_offset: int  # inclusive
    key: str
    sha256: str
    records: int
    bytes: int  # compressed


class Incoming(Struct, frozen=True, kw_only=True, gc=False):
    """A record that was found good and now wants to be kept."""

    source: str
    id: str
    content_type: str
    body: bytes  # verbatim UTF-8
    ce: Mapping[str, str] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of a record that was offered to the spool."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # the very same record is kept already
    CONFLICT = "conflict"  # the identity is taken by another body


class Receipt(Struct, frozen=True, gc=False):
    """The spool's answer for one record; durable once given."""

    offset: int  # of the record that holds the identity
    outcome: Outcome


class Rejection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the quarantine: what came in, verbatim, and why it could not be accepted."""

    received_at: datetime
    code: str
    detail: str
    content_type: str
    body: str | None = None  # None if it is not UTF-8: then `body_b64`
    body_b64: bytes | None = None
    ce: dict[str, str] = field(default_factory=dict)
    content_encoding: str = ""  # of a body that could not be expanded


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What the feedback front needs to know of a model."""

    labels: tuple[str, ...]
    kind: str
    payload_allow: tuple[str, ...] = ()
    window_days: int = 30  # in which a prediction may be judged
    require_prediction: bool = False

    @classmethod
    def of(cls, policy: ModelPolicy) -> "ModelFacts":
        """Return what a policy says to the front."""
        return cls(
            labels=policy.labels,
            kind=policy.kind,
            payload_allow=policy.payload.allow,
            window_days=policy.feedback.window_days,
            require_prediction=policy.feedback.require_prediction,
        )


class Key(Struct, frozen=True, kw_only=True):
    """A bearer token that somebody holds, by its hash."""

    sha256: str  # hex, of the token
    name: str
    role: str


class Published(Struct, frozen=True, kw_only=True):
    """What the control plane tells the feedback front: models and keys, signed."""

    models: dict[str, ModelFacts]
    keys: tuple[Key, ...]
