"""What a well-formed record must also satisfy: a known model, its labels, a payload we may read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from burnish.feedback.model import (
    FeedbackRecord,
    ModelFacts,
    PayloadNotAllowed,
    PredictionExpired,
    PredictionForeign,
    PredictionRequired,
    PredictionUnknown,
    UnknownLabel,
    UnknownModel,
)
from burnish.feedback.plain import Plain
from burnish.feedback.prediction import Prediction, given_at
from burnish.feedback.schema import malformed, shown
from burnish.kernel.digest import is_address
from burnish.kernel.objects import payload_key

OWN_STORE: Final = "burnish:"  # "burnish:sha256:<hex>", by content

# How far the prediction log may lag behind an answer that a client already has: it is written
# behind, and retried for some seconds when the database is busy.
LOG_LAG: Final = timedelta(seconds=60)
_RANKS: Final = "-embedding"  # kinds whose answers are ranked: a record may grade documents
_READS_TEXT: Final = "text-"  # kinds whose input may stand in the record itself


def admit(record: FeedbackRecord | Plain, models: Mapping[str, ModelFacts]) -> None:
    """Check a record against the published facts of its model.

    Raises:
        UnknownModel: no such model.
        MalformedFeedback: it grades documents, and the model does not rank any.
        UnknownLabel: `final` or `predicted` is none of its labels.
        PredictionRequired: the model's policy wants a `prediction_id`.
        PayloadNotAllowed: the payload URI is outside `payload.allow`.
    """
    facts = models.get(record.model)
    if facts is None:
        known = ", ".join(sorted(models)) or "none yet"
        raise UnknownModel.of("model", record.model, f"name a published model: {known}")
    _admit_labels(record, facts)
    if facts.require_prediction and record.prediction_id is None:
        raise PredictionRequired.of("prediction_id", None, "give it as serving returned it")
    inline = facts.kind.startswith(_READS_TEXT) and not _is_uri(record.payload or "")
    if record.payload is None or inline:
        return
    if not payload_allowed(record.payload, facts.payload_allow):
        allowed = ", ".join(("burnish:sha256:<hex>", *facts.payload_allow))
        raise PayloadNotAllowed.of("payload", shown(record.payload), f"use one of {allowed}")


def check_prediction(
    record: FeedbackRecord | Plain,
    prediction: Prediction | None,
    window: timedelta,
    *,
    received: datetime,
) -> None:
    """Check the prediction that a record names against what the prediction log says of it.

    Args:
        record: names a prediction.
        prediction: as the log has it, None if it does not.
        window: how long after a prediction it may be judged.
        received: when the record came.

    Raises:
        PredictionExpired: it was given longer ago than the window.
        PredictionForeign: another model gave it.
        PredictionUnknown: nobody did. One so young that the log may not have it yet is let pass;
            the dataset build looks again.
    """
    id_ = record.prediction_id or ""
    given = prediction.at if prediction is not None else given_at(id_)
    if given is not None and received - given > window:
        fix = f"judge a prediction within {window.days} days"
        raise PredictionExpired.of("prediction_id", id_, fix)
    if prediction is None:
        if given is not None and abs(received - given) <= LOG_LAG:
            return
        fix = "give the id of an answer as serving returned it, or leave it out"
        raise PredictionUnknown.of("prediction_id", id_, fix)
    if prediction.model != record.model:
        fix = f"{prediction.model!r} gave it, not {record.model!r}: name that model"
        raise PredictionForeign.of("prediction_id", id_, fix)


def payload_allowed(uri: str, allow: tuple[str, ...]) -> bool:
    """Tell whether a URI is in our own store, or below an allowed prefix, or on an allowed host.

    A prefix ends at a path boundary and a host is a whole host, so that neither
    `https://photos.example.evil.org` nor `/photos-private` slips through.

    >>> allow = ("https://photos.example/laundry", "cdn.example")
    >>> payload_allowed("https://photos.example/laundry/7.jpg", allow)
    True
    >>> payload_allowed("https://photos.example/laundry/../face/7.jpg", allow)
    False
    >>> payload_allowed("https://cdn.example/7.jpg", allow)
    True
    """
    if uri.startswith(OWN_STORE):
        return _in_own_store(uri)
    parts = _split(uri)
    return parts is not None and any(_covers(entry, parts) for entry in allow)


def own_payload_key(uri: str) -> str | None:
    """Return the object key of a payload in our own store, None if it is elsewhere."""
    return payload_key(uri.removeprefix(OWN_STORE)) if _in_own_store(uri) else None


def _admit_labels(record: FeedbackRecord | Plain, facts: ModelFacts) -> None:
    if record.final in facts.labels and (record.predicted or record.final) in facts.labels:
        return  # as nearly always
    ranks = facts.kind.endswith(_RANKS)
    for name, said in (("final", record.final), ("predicted", record.predicted)):
        if said is None:
            continue
        if not isinstance(said, str):
            if not ranks:
                fix = f"{record.model!r} says one label, of {', '.join(facts.labels)}"
                raise malformed(name, list(said), fix)
        elif said not in facts.labels and (facts.labels or not ranks):
            raise UnknownLabel.of(name, shown(said), f"name one of {', '.join(facts.labels)}")


def _is_uri(text: str) -> bool:
    return "://" in text or text.startswith(OWN_STORE)


def _in_own_store(uri: str) -> bool:
    return uri.startswith(OWN_STORE) and is_address(uri[len(OWN_STORE) :])


def _split(uri: str) -> SplitResult | None:
    """Return the parts of a URI that means what it seems to mean, else None."""
    if not uri.isprintable() or " " in uri or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises if it is no number
    except ValueError:
        return None
    path = unquote(unquote(parts.path))  # twice: a server behind a proxy may decode again
    if not parts.scheme or "@" in parts.netloc or "\\" in path or ".." in path.split("/"):
        return None
    return parts


def _covers(entry: str, uri: SplitResult) -> bool:
    if "://" not in entry:
        return uri.scheme in {"http", "https"} and uri.netloc.lower() == entry.lower()
    prefix = urlsplit(entry)
    if (uri.scheme, uri.netloc.lower()) != (prefix.scheme, prefix.netloc.lower()):
        return False
    folder = prefix.path.rstrip("/")
    return uri.path == folder or uri.path.startswith(folder + "/")
