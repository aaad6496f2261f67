"""Looking: what a build must ask of the world outside the log, and the answers in codes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from msgspec import Struct

from burnish.datasets.contents import NOTHING_KNOWN, Contents
from burnish.datasets.curation import locate
from burnish.datasets.lines import CODE, FETCHED, Bytes, Mask, content_of
from burnish.datasets.model import Reason
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.objects import PAYLOADS, Objects, payload_key
from burnish.kernel.policy import ModelPolicy

_UNKNOWN: Final = CODE[Reason.PREDICTION_UNKNOWN]
_ELSEWHERE: Final = CODE[Reason.PAYLOAD_NOT_STORED]
_MISSING: Final = CODE[Reason.PAYLOAD_MISSING]
_TRIED: Final = tuple(
    CODE[reason]
    for reason in (
        Reason.PAYLOAD_MISSING,
        Reason.PAYLOAD_NOT_ALLOWED,
        Reason.PAYLOAD_TOO_LARGE,
        Reason.PAYLOAD_UNREADABLE,
    )
)
LIST_FROM: Final = 10_000  # contents from which a listing costs less than as many questions

Missing = Callable[[Collection[str]], Collection[str]]  # of contents, those that have no bytes
Known = Callable[[Sequence[Verdict], Mapping[str, Prediction]], Contents]  # with their predictions

# Of contents: those that another one stands for, with that one, and those that are no image.
Replaced = Callable[[Collection[str]], Mapping[str, str | Reason]]


class Judged(Struct, frozen=True):
    """What a line judges, as far as it can be told."""

    digest: str | None  # of the content, even if nobody has its bytes
    reason: Reason | None  # why the line has no content

    @property
    def input(self) -> str | Reason:
        """What curation is told."""
        return self.reason or self.digest or Reason.PAYLOAD_MISSING

    @property
    def code(self) -> int:
        """What a line holds as `found`."""
        return 0 if self.reason is None else CODE[self.reason]

    def note(self, line: int, found: Bytes, contents: Bytes) -> None:
        """Write it to a line's columns; what its own payload named stays if nothing else is."""
        found[line] = 0 if self.reason is None else CODE[self.reason]
        if self.digest is not None:
            contents[line] = self.content

    @property
    def content(self) -> Bytes:
        """A digest that is known, as a line holds it."""
        return content_of(self.digest or "")


class World(Struct, frozen=True):
    """Whom to ask."""

    predictions: Callable[[Collection[str]], Mapping[str, Prediction]]  # the known ones, by id
    missing: Missing
    contents: Known = lambda _, __: NOTHING_KNOWN
    replaced: Replaced = lambda _: MappingProxyType({})

    def judged(self, verdicts: Sequence[Verdict], policy: ModelPolicy) -> list[Judged]:
        """Return what each of these verdicts judges."""
        if not verdicts:
            return []
        named = {one.prediction_id for one in verdicts if one.prediction_id is not None}
        predictions = self.predictions(named) if named else {}
        window, contents = policy.feedback.window, self.contents(verdicts, predictions)
        inputs = locate(verdicts, predictions, window, contents=contents)
        found = {what for what in inputs.values() if not isinstance(what, Reason)}
        gone = self.missing(found)
        return [_judged(inputs[verdict.place], gone) for verdict in verdicts]

    def shown(self, contents: Collection[str]) -> dict[str, Judged]:
        """Return, of some contents, what those are to be judged as that are judged as another."""
        shown = self.replaced(contents)
        gone = self.missing({what for what in shown.values() if not isinstance(what, Reason)})
        return {content: _judged(what, gone) for content, what in shown.items()}


def _judged(what: str | Reason, gone: Collection[str]) -> Judged:
    if isinstance(what, Reason):
        return Judged(None, what)
    return Judged(what, Reason.PAYLOAD_MISSING if what in gone else None)


def is_open(found: Bytes, contents: Bytes, flags: Bytes) -> Mask:
    """Tell for which lines another look may find what they judge.

    A prediction may be logged late, and a payload fetched or stored late; a place that gave nothing
    is tried again. A prediction that kept no input never will have one.
    """
    awaited = found == _MISSING
    awaited[awaited] = contents[awaited].any(axis=1)
    tried = (flags & FETCHED != 0) & np.isin(found, _TRIED)
    late: Mask = np.isin(found, (_UNKNOWN, _ELSEWHERE)) | awaited | tried
    return late


def absent(objects: Objects, contents: Collection[str]) -> set[str]:
    """Return those of some contents whose bytes a store does not have."""
    if len(contents) < LIST_FROM:
        return {one for one in set(contents) if not objects.exists(payload_key(one))}
    stored = set(objects.list(PAYLOADS))
    return {one for one in contents if payload_key(one) not in stored}
