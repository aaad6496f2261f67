"""Blanking: lines that a person had taken out, as a build reads them: they say nothing."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from burnish.datasets.accounting import row_of
from burnish.datasets.columns import OTHER_LABEL
from burnish.datasets.digests import element, reduced
from burnish.datasets.lines import CODE, address, key_of
from burnish.datasets.model import Reason
from burnish.datasets.reading import Read
from burnish.feedback.erasure import Identity

_ERASED: Final = CODE[Reason.ERASED]
_UNREADABLE: Final = CODE[Reason.UNREADABLE]


def without(read: Read, erased: Collection[Identity]) -> Read:
    """Return what was read; of records that were erased only identity and time are left."""
    if not erased:
        return read
    lines = read.lines
    keys = np.array([key_of(*identity) for identity in erased], np.uint64)
    # What was rewritten in the log is found by no key, since its body says nothing.
    suspects = np.isin(read.identities, keys) | (lines.outcome == _UNREADABLE)
    suspected = np.nonzero(suspects)[0]
    said = zip(suspected.tolist(), lines.said(suspected), strict=True)
    taken = np.array([line for line, one in said if (one.source, one.id) in erased], np.int64)
    sum_ = read.sum
    for line, verdict in zip(taken.tolist(), lines.verdicts("", taken), strict=True):
        row = row_of(verdict, address(lines.content[line]), int(read.guess[line]))
        sum_ -= element(row) if row is not None else 0
    columns = {name: getattr(read, name).copy() for name in ("subjects", "labels", "guess")}
    columns["subjects"][taken] = read.identities[taken]
    columns["labels"][taken] = OTHER_LABEL
    columns["guess"][taken] = 0
    outcome, found = lines.outcome.copy(), lines.found.copy()
    outcome[taken], found[taken] = _ERASED, _ERASED
    lines = replace(lines, outcome=outcome, found=found).blanked(taken)
    return replace(read, lines=lines, sum=reduced(sum_), **columns)
