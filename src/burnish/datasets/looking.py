"""Looking: what a build must ask of the world outside the log, and the answers in codes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from burnish.datasets.curation import locate
from burnish.datasets.lines import CODE, Bytes
from burnish.datasets.model import Reason
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import hexadecimal
from burnish.kernel.objects import PAYLOADS, Objects, payload_key
from burnish.kernel.policy import ModelPolicy

# What another look may find: a prediction that was logged late, a payload that was stored late.
OPEN: Final = (CODE[Reason.PREDICTION_UNKNOWN], CODE[Reason.PAYLOAD_MISSING])

LIST_FROM: Final = 10_000  # contents from which a listing costs less than as many questions

Missing = Callable[[Collection[str]], Collection[str]]  # of contents, those that have no bytes
Judged = str | Reason  # the digest of what a line judges, or why there is none


class World(Struct, frozen=True):
    """Whom to ask."""

    predictions: Callable[[Collection[str]], Mapping[str, Prediction]]  # the known ones, by id
    missing: Missing

    def judged(self, verdicts: Sequence[Verdict], policy: ModelPolicy) -> list[Judged]:
        """Return what each of these verdicts judges."""
        if not verdicts:
            return []
        named = {one.prediction_id for one in verdicts if one.prediction_id is not None}
        predictions = self.predictions(named) if named else {}
        inputs = locate(verdicts, predictions, policy.feedback.window)
        found = {what for what in inputs.values() if not isinstance(what, Reason)}
        gone = self.missing(found)
        judged = (inputs[verdict.place] for verdict in verdicts)
        return [Reason.PAYLOAD_MISSING if what in gone else what for what in judged]


def code(judged: Judged) -> int:
    """Return 0 for a digest, else the reason's code: what a line holds as `found`."""
    return CODE[judged] if isinstance(judged, Reason) else 0


def content(judged: Judged) -> Bytes:
    """Return a digest as a line holds it."""
    return np.frombuffer(bytes.fromhex(hexadecimal(judged)), np.uint8)


def absent(objects: Objects, contents: Collection[str]) -> set[str]:
    """Return those of some contents whose bytes a store does not have."""
    if len(contents) < LIST_FROM:
        return {one for one in contents if not objects.exists(payload_key(one))}
    stored = set(objects.list(PAYLOADS))
    return {one for one in contents if payload_key(one) not in stored}
