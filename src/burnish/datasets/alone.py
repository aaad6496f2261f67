"""Lines alone: those that share subject, content and identity with no other line.

Nearly all lines are so. For them curation has one answer, and only their side is left to tell; that
is said here for all of them at once, in the words of `curation` and `splits`.
"""

from typing import Final

import numpy as np

from burnish.datasets.layers import Layer
from burnish.datasets.lines import (
    CODE,
    CONTENT_HELD,
    SPLITS,
    SUBJECT_HELD,
    TRAINED,
    UNCERTAIN,
    Bytes,
    Keys,
    Lines,
    Mask,
    Numbers,
    content_keys,
)
from burnish.datasets.model import Reason, Split
from burnish.datasets.reading import Draws

FREE: Final = 254  # an outcome: on the training side unless the holdout draws it

_KEPT: Final = (
    *SPLITS,
    FREE,
    *(CODE[reason] for reason in (Reason.HELD_OUT, Reason.TRAINED_BEFORE, Reason.RESERVED)),
)
_INVALID: Final = tuple(
    CODE[reason]
    for reason in (
        Reason.PREDICTION_UNKNOWN,
        Reason.PREDICTION_FOREIGN,
        Reason.PREDICTION_EXPIRED,
    )
)


def are_alone(layer: Layer, *, among: Mask, shared: Mask, late: Keys) -> Mask:
    """Tell of each line of a new layer whether it is alone.

    Args:
        layer: the new lines.
        among: the lines that speak at all; others share nothing.
        shared: those that share something with the history that they follow.
        late: contents that lines of the history have got only now.
    """
    shown = among & (layer.lines.found == 0)
    shared = shared.copy()
    for index, speaking in (("subjects", among), ("identities", among), ("contents", shown)):
        shared[layer.shared(index, speaking).lines] = True
    if len(late):
        shared[shown] |= np.isin(content_keys(layer.lines.content[shown]), late)
    return among & ~shared


def outcomes(lines: Lines, validation: Draws, share: float) -> Bytes:
    """Return the outcome of each line, as if it were alone: FREE where the holdout may draw it.

    Args:
        lines: with what their sides have been.
        validation: each subject's fraction.
        share: of validation, in the policy.
    """
    held, uncertain = lines.sides & SUBJECT_HELD != 0, lines.flags & UNCERTAIN != 0
    trained = lines.sides & TRAINED != 0
    outcome = np.where(trained | uncertain, training(validation, share), FREE)
    outcome[lines.sides & CONTENT_HELD != 0] = CODE[Reason.HELD_OUT]
    outcome[held] = CODE[Split.HOLDOUT]
    outcome[held & trained] = CODE[Reason.TRAINED_BEFORE]
    outcome = np.where(lines.found == 0, outcome, lines.found)
    outcome[held & uncertain & ~np.isin(lines.found, _INVALID)] = CODE[Reason.UNCERTAIN_IN_HOLDOUT]
    return outcome.astype(np.uint8)


def is_kept(outcome: Bytes) -> Mask:
    """Tell by `outcomes` which lines curation keeps, whether or not they have a side."""
    kept: Mask = np.isin(outcome, _KEPT)
    return kept


def training(validation: Draws, share: float) -> Bytes:
    """Return what an example of the training side is for: to train, or to validate."""
    splits = np.where(validation < share, CODE[Split.VALIDATION], CODE[Split.TRAIN])
    return splits.astype(np.uint8)


def lowest(free: Numbers, draws: Draws, count: int) -> Numbers:
    """Return the free lines that a holdout of so many may draw: all at or below its last draw."""
    if count == 0 or len(free) <= count:
        return free[:0] if count == 0 else free
    mine = draws[free]
    low: Numbers = free[mine <= np.partition(mine, count - 1)[count - 1]]
    return low
