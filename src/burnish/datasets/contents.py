"""What payloads turned out to be: where URIs led, and which content stands for which.

All of it is found once, noted, and never found again: a URI stands for the bytes that it gave
first, and of contents that show the same the first that was seen stands for all. So no two examples
of a dataset show the same, on no side and in no version: where they would, both name one content,
and identical contents count once.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from burnish.datasets.model import Reason
from burnish.feedback.admission import OWN_STORE, payload_allowed
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import PREFIX, hexadecimal
from burnish.kernel.policy import ModelPolicy, NearDuplicate

_URI: Final = "://"


class Contents(Struct, frozen=True, kw_only=True):
    """What is known of some payloads. What is not known stands for itself."""

    fetched: Mapping[str, str | Reason] = MappingProxyType(
        {}
    )  # URI -> digest, or why there is none
    stand_ins: Mapping[str, str] = MappingProxyType({})  # digest -> that of what stands for it
    unreadable: Collection[str] = frozenset()  # digests of what is no image

    def of_payload(self, payload: str) -> str | Reason:
        """Return the digest of what a record's payload names, or why there is none."""
        if payload in self.fetched:
            return self.of_digest(self.fetched[payload])
        try:
            return self.of_digest(PREFIX + hexadecimal(payload.removeprefix(OWN_STORE + PREFIX)))
        except ValueError:
            return Reason.PAYLOAD_NOT_STORED

    def of_digest(self, found: str | Reason) -> str | Reason:
        """Return the digest of what stands for a content."""
        if isinstance(found, Reason):
            return found
        if found in self.unreadable:
            return Reason.PAYLOAD_UNREADABLE
        return self.stand_ins.get(found, found)


# What a person can do about records that were left out for what they name.
REMEDIES: Final[Mapping[Reason, str]] = {
    Reason.PAYLOAD_MISSING: "put the inputs back where their records say, then build again",
    Reason.PAYLOAD_NOT_STORED: "let a worker fetch the inputs: a run does, before it builds",
    Reason.PAYLOAD_NOT_ALLOWED: "add where the inputs lie to `payload.allow` in the policy",
    Reason.PAYLOAD_TOO_LARGE: "send smaller inputs, or raise `payloads.max_bytes` in the settings",
    Reason.PAYLOAD_UNREADABLE: "send whole JPEG, PNG or WebP photos, in records with new ids",
}
NOTHING_KNOWN: Final = Contents()


class PayloadStore(Protocol):
    """What was found out about payloads."""

    def fetched(self, uris: Collection[str]) -> dict[str, str | Reason]:
        """Return, for URIs that were tried, the digest of what each gave first, or why none."""
        ...

    def unreadable(self) -> set[str]:
        """Return the digests of contents that are no image."""
        ...

    def stand_ins(self, how: NearDuplicate) -> dict[str, str]:
        """Return, for contents that another one stands for, the digest of that one."""
        ...

    def represented(self, digests: Collection[str]) -> set[str]:
        """Return those of these contents that stand for another one, however it is asked."""
        ...

    def forget(self, digests: Collection[str]) -> None:
        """Forget what these contents showed and where they came from: they were erased."""
        ...


def known(payloads: PayloadStore, policy: ModelPolicy, verdicts: Iterable[Verdict]) -> Contents:
    """Return what is known of the payloads that the verdicts of a policy's model name."""
    uris = elsewhere(verdicts)
    allowed = {uri for uri in uris if payload_allowed(uri, policy.payload.allow)}
    fetched: dict[str, str | Reason] = dict.fromkeys(uris - allowed, Reason.PAYLOAD_NOT_ALLOWED)
    return Contents(
        fetched=fetched | payloads.fetched(allowed),
        stand_ins=payloads.stand_ins(policy.dataset.near_duplicate),
        unreadable=payloads.unreadable(),
    )


def elsewhere(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the URIs that the verdicts name outside of our own store."""
    named = {verdict.payload for verdict in verdicts if verdict.payload is not None}
    return {uri for uri in named if _URI in uri and not uri.startswith(OWN_STORE)}
