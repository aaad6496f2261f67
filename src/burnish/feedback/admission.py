"""What a well-formed record must also satisfy: a known model, its labels, a payload we may read."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from burnish.feedback.model import (
    FeedbackRecord,
    ModelFacts,
    PayloadNotAllowed,
    UnknownLabel,
    UnknownModel,
)
from burnish.feedback.schema import shown
from burnish.kernel.digest import hexadecimal
from burnish.kernel.objects import payload_key

OWN_STORE: Final = "burnish:"  # "burnish:sha256:<hex>", by content


def admit(record: FeedbackRecord, models: Mapping[str, ModelFacts]) -> None:
    """Check a record against the published facts of its model.

    Raises:
        UnknownModel: no such model.
        UnknownLabel: `final` or `predicted` is none of its labels.
        PayloadNotAllowed: the payload URI is outside `payload.allow`.
    """
    facts = models.get(record.model)
    if facts is None:
        known = ", ".join(sorted(models)) or "none yet"
        raise UnknownModel.of("model", record.model, f"name a published model: {known}")
    for name, label in (("final", record.final), ("predicted", record.predicted)):
        if label is not None and label not in facts.labels:
            raise UnknownLabel.of(name, shown(label), f"name one of {', '.join(facts.labels)}")
    if record.payload is not None and not payload_allowed(record.payload, facts.payload_allow):
        allowed = ", ".join(("burnish:sha256:<hex>", *facts.payload_allow))
        raise PayloadNotAllowed.of("payload", shown(record.payload), f"use one of {allowed}")


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


def _in_own_store(uri: str) -> bool:
    address = uri.removeprefix(OWN_STORE)
    try:
        return uri.startswith(OWN_STORE + "sha256:") and bool(hexadecimal(address))
    except ValueError:
        return False


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
