"""Settling: new lines that share something, where it is plain which of them stands.

People judge again what was judged, and show again what was shown. Where that concerns new lines
only, nothing about these is unusual and all of them give one label, curation has one answer; it is
said here for all of them at once, in its words. Those that are left out share nothing any more, so
that the one that stands may be alone. Whatever is not plain is left to `curate`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.columns import OTHER_LABEL
from burnish.datasets.layers import Index, Layer
from burnish.datasets.lines import CODE, EXAM, UNCERTAIN, Lines, Mask, Numbers
from burnish.datasets.model import Reason
from burnish.datasets.reading import Read


def settle(layer: Layer, read: Read, *, spoken_of: Mask, speaks: Mask) -> None:
    """Leave out, in place, the new lines beside which another plainly stands.

    That one may still touch others: then those that were left out for it are found with it.

    Args:
        layer: the new lines, of which copies are left out already.
        read: the same as they were read.
        spoken_of: whose subject or identity the history has already.
        speaks: which of them speak at all; those that are left out do so no longer.
    """
    subjects = _Groups.of(layer.shared("subjects", speaks))
    contents = layer.shared("contents", speaks).lines
    plain = _plain(layer.lines, read, np.concatenate([subjects.lines, contents]))
    plain &= ~spoken_of

    def leave_out(lines: Numbers, reason: Reason) -> None:
        layer.lines.outcome[lines] = CODE[reason]
        speaks[lines] = False

    leave_out(_spoken_after(subjects, plain, read), Reason.SUPERSEDED)
    plain[layer.shared("subjects", speaks).lines] = False
    shown = _Groups.of(layer.shared("contents", speaks))
    leave_out(_shown_by_others(shown, plain, layer.lines, read), Reason.NEAR_DUPLICATE)


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """New lines that share a key, group after group, each of two or more."""

    lines: Numbers
    starts: Numbers  # of each group

    @classmethod
    def of(cls, shared: Index) -> "_Groups":
        """Return the groups of lines that share their key, none of which is alone with it."""
        return cls(lines=shared.lines, starts=np.unique(shared.keys, return_index=True)[1])

    def where(self, groups: Mask) -> "_Groups":
        """Return some of the groups."""
        sizes = self._sizes
        return _Groups(
            lines=self.lines[np.repeat(groups, sizes)],
            starts=np.cumsum(sizes[groups]) - sizes[groups],
        )

    def by(self, keys: NDArray[Any]) -> "_Groups":
        """Return the groups, the lines of each in the order of their keys."""
        numbers = np.repeat(np.arange(len(self.starts)), self._sizes)
        return _Groups(lines=self.lines[np.lexsort((keys, numbers))], starts=self.starts)

    @property
    def _sizes(self) -> Numbers:
        return np.diff(self.starts, append=len(self.lines))

    @property
    def lasts(self) -> Numbers:
        """The place of each group's last line among the lines."""
        return self.starts + self._sizes - 1

    def all(self, mask: Mask) -> Mask:
        """Tell of each group whether something holds for all of its lines."""
        found: Mask = np.logical_and.reduceat(mask[self.lines], self.starts)
        return found

    def agree(self, *columns: NDArray[Any]) -> Mask:
        """Tell of each group whether each of the columns says one thing of all of its lines."""
        agreed = np.ones(len(self.starts), bool)
        for column in columns:
            said = column[self.lines]
            agreed &= np.maximum.reduceat(said, self.starts) == np.minimum.reduceat(
                said, self.starts
            )
        return agreed


def _plain(lines: Lines, read: Read, among: Numbers) -> Mask:
    """Tell which of some new lines are ordinary."""
    plain = np.zeros(len(lines), bool)
    plain[among] = (
        (lines.found[among] == 0)
        & (lines.sides[among] == 0)
        & (lines.flags[among] & (EXAM | UNCERTAIN) == 0)
        & (read.labels[among] != OTHER_LABEL)
    )
    return plain


def _spoken_after(groups: _Groups, plain: Mask, read: Read) -> Numbers:
    """Return the lines of one subject after which another has the last word."""
    # A key only finds; with both draws, 170 bits of three hashes tell that the subject is the same.
    groups = groups.where(
        groups.all(plain) & groups.agree(read.labels, read.holdout, read.validation)
    )
    groups = groups.by(read.happened[groups.lines])
    happened = read.happened[groups.lines]
    # What happened at once is ordered by names, which are not at hand.
    groups = groups.where(happened[groups.lasts] != happened[groups.lasts - 1])
    return np.delete(groups.lines, groups.lasts)


def _shown_by_others(groups: _Groups, plain: Mask, lines: Lines, read: Read) -> Numbers:
    """Return the lines of different subjects with one content for which another stands."""
    groups = groups.where(
        groups.all(plain) & groups.agree(read.labels, *lines.content.view(np.uint64).T)
    )
    names = np.array([said.subject for said in lines.said(groups.lines)], object)
    groups = groups.by(names)
    return np.delete(groups.lines, groups.starts)
