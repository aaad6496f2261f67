"""What payloads turned out to be: where URIs led, and which content stands for which.

All of it is found once, noted, and never found again: a URI stands for the bytes that it gave
first, and of contents that show the same the first that was seen stands for all. So no two examples
of a dataset show the same, on no side and in no version: where they would, both name one content,
and identical contents count once.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

from msgspec import Struct

from burnish.datasets.model import Reason
from burnish.feedback.admission import OWN_STORE, payload_allowed
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import PREFIX, hexadecimal
from burnish.kernel.policy import ModelPolicy, NearDuplicate

_URI: Final = "://"

Found = Mapping[str, str | Reason]  # the digest of what a name leads to, or why there is none


class Names(Struct, frozen=True, kw_only=True):
    """What records name as their inputs."""

    uris: frozenset[str] = frozenset()  # outside of our own store
    contents: frozenset[str] = frozenset()  # digests, in it
    predictions: frozenset[str] = frozenset()  # ids of those whose captured input is meant

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Self:
        """Return what verdicts name: a payload, or else a prediction."""
        said = list(verdicts)
        payloads = {verdict.payload for verdict in said if verdict.payload is not None}
        own = (_own(payload) for payload in payloads)
        return cls(
            uris=frozenset(elsewhere(said)),
            contents=frozenset(content for content in own if content is not None),
            predictions=frozenset(
                verdict.prediction_id
                for verdict in said
                if verdict.payload is None and verdict.prediction_id is not None
            ),
        )

    @property
    def example(self) -> str:
        """One of them, without what may be a signature behind a URI; none if there is none."""
        first = min((*self.contents, *self.predictions, *self.uris), default="")
        return first.partition("?")[0]

    def __or__(self, other: "Names") -> "Names":
        return Names(
            uris=self.uris | other.uris,
            contents=self.contents | other.contents,
            predictions=self.predictions | other.predictions,
        )

    def __len__(self) -> int:
        return len(self.uris) + len(self.contents) + len(self.predictions)


class Noted(Struct, frozen=True, kw_only=True):
    """How much was noted of inputs at some moment: all up to these numbers, which only grow."""

    uris: int = 0
    contents: int = 0


class Contents(Struct, frozen=True, kw_only=True):
    """What is known of some payloads."""

    fetched: Found = MappingProxyType({})  # by URI
    shown: Found = MappingProxyType({})  # by digest: what stands for it
    unseen: Reason | None = None  # why what nobody has looked at is none; None: it is itself

    def of_payload(self, payload: str) -> str | Reason:
        """Return the digest of what a record's payload names, or why there is none."""
        if payload in self.fetched:
            return self.of_digest(self.fetched[payload])
        return self.of_digest(_own(payload) or Reason.PAYLOAD_NOT_STORED)

    def of_digest(self, found: str | Reason) -> str | Reason:
        """Return the digest of what stands for a content, or why it is no input."""
        if isinstance(found, Reason):
            return found
        return self.shown.get(found, self.unseen or found)


NOTHING_KNOWN: Final = Contents()
ASK_UPTO: Final = 50_000  # contents: to ask for more costs as much as to go through all there are


class PayloadStore(Protocol):
    """What was found out about payloads."""

    def noted(self) -> Noted:
        """Return how far what is noted reaches."""
        ...

    def fetched(
        self, uris: Collection[str], *, upto: Noted | None = None
    ) -> dict[str, str | Reason]:
        """Return, for URIs that were tried, the digest of what each gave first, or why none.

        `upto` asks what was known then.
        """
        ...

    def shown(
        self, contents: Collection[str], how: NearDuplicate, *, upto: Noted | None = None
    ) -> dict[str, str | Reason]:
        """Return, for contents that were looked at as closely as asked, what stands for each.

        What is no image is no input. `upto` asks what was known then.
        """
        ...

    def replaced(self, how: NearDuplicate, *, since: Noted) -> dict[str, str | Reason]:
        """Return what `shown` would of each content noted since then that is not itself."""
        ...

    def represented(self, digests: Collection[str]) -> set[str]:
        """Return those of these contents that stand for another one, however it is asked."""
        ...

    def forget(self, digests: Collection[str]) -> None:
        """Forget what these contents showed and where they came from: they were erased."""
        ...


def known(
    payloads: PayloadStore,
    policy: ModelPolicy,
    verdicts: Iterable[Verdict],
    predictions: Mapping[str, Prediction],
    *,
    upto: Noted | None = None,
) -> Contents:
    """Return what is known of the inputs that verdicts name.

    Args:
        payloads: what was found out.
        policy: of the verdicts' model.
        verdicts: the verdicts.
        predictions: those that they name, by id, as far as they are known.
        upto: what was known when so much was noted; None: now.
    """
    names = Names.of(verdicts)
    allowed = {uri for uri in names.uris if payload_allowed(uri, policy.payload.allow)}
    fetched = dict.fromkeys(names.uris - allowed, Reason.PAYLOAD_NOT_ALLOWED) | payloads.fetched(
        allowed, upto=upto
    )
    given = {found for found in fetched.values() if not isinstance(found, Reason)}
    captured = {
        one.payload_sha256 for one in predictions.values() if one.payload_sha256 is not None
    }
    return Contents(
        fetched=fetched,
        shown=payloads.shown(
            names.contents | given | captured, policy.dataset.near_duplicate, upto=upto
        ),
    )


def replaced(
    payloads: PayloadStore, contents: Collection[str], how: NearDuplicate
) -> dict[str, str | Reason]:
    """Return what `PayloadStore.shown` would of some contents, of those that are not themselves."""
    if len(contents) <= ASK_UPTO:
        shown = payloads.shown(set(contents), how)
    else:
        shown = payloads.replaced(how, since=Noted())
    return {one: what for one, what in shown.items() if what != one and one in contents}


def place_of(uri: str) -> str:
    """Return where a URI's bytes lie, as far as all of it may be down at once.

    >>> place_of("https://photos.example:8443/7.jpg?token=1"), place_of("file:///mnt/photos/7.jpg")
    ('https://photos.example:8443', 'file:///mnt/photos')
    """
    parts = urlsplit(uri)
    folder = parts.path.rpartition("/")[0] if parts.scheme == "file" else ""
    return f"{parts.scheme}://{parts.netloc}{folder}"


def elsewhere(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the URIs that the verdicts name outside of our own store."""
    named = {verdict.payload for verdict in verdicts if verdict.payload is not None}
    return {uri for uri in named if _URI in uri and not uri.startswith(OWN_STORE)}


def _own(payload: str) -> str | None:
    """Return the digest of a payload in our own store; None if it names something else."""
    try:
        return PREFIX + hexadecimal(payload.removeprefix(OWN_STORE + PREFIX))
    except ValueError:
        return None
