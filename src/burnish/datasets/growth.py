"""Growth: a history and the lines that follow it, made into the next version.

What `assembly.assemble` does to all verdicts at once, this does to those that the new lines touch:
the lines of the same subjects, of the contents that those show, of the subjects that show these,
and so on until nothing more is touched. Within such a *batch* the rules are the same functions,
called on it alone; nothing outside of it can change by them. A new line that touches nothing is
left to `alone`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from msgspec import structs

from burnish.datasets.accounting import (
    Change,
    Totals,
    beyond,
    count_new,
    effective,
    marks,
    row_of,
)
from burnish.datasets.alone import FREE, are_alone, lowest, outcomes, training
from burnish.datasets.checks import check_counts, check_labels
from burnish.datasets.curation import Exam, Inputs, curate, one_per_identity
from burnish.datasets.layers import History, Layer, Patches, State, layer, patched
from burnish.datasets.lines import (
    ASK,
    CODE,
    CONTENT_BYTES,
    CONTENT_HELD,
    CONTENT_TRAINED,
    NAMES,
    SPLITS,
    SUBJECT_HELD,
    SUBJECT_TRAINED,
    Bytes,
    Keys,
    Mask,
    Numbers,
    address,
    addresses,
    content_keys,
    key_of,
)
from burnish.datasets.looking import Judged, World, is_open
from burnish.datasets.model import Example, Reason, Row, Split
from burnish.datasets.reading import Read
from burnish.datasets.sides import carried
from burnish.datasets.splits import Elsewhere, Ledger, divide
from burnish.feedback.verdict import Offsets, Place, Verdict
from burnish.kernel.policy import ModelPolicy

_SUBJECT_BITS: Final = (SUBJECT_HELD, SUBJECT_TRAINED)
_CONTENT_BITS: Final = (CONTENT_HELD, CONTENT_TRAINED)
_HOLDOUT: Final = CODE[Split.HOLDOUT]


@dataclass(frozen=True, kw_only=True)
class Grown:
    """What a build adds: one layer, and the totals of the version that it makes."""

    layer: Layer
    totals: Totals
    open: Numbers  # lines that another look may judge otherwise
    rest: Ledger  # of sides, what no line carries
    since: int  # effective corrections beyond the parent's offsets


def grow(
    history: History,
    read: Read,
    policy: ModelPolicy,
    *,
    ledger: Ledger,
    world: World,
    totals: Totals,
    open_: Numbers,
    parent: Offsets,
) -> Grown:
    """Return what the lines that were read make of the history.

    Args:
        history: what the version before has; empty for a build from nothing.
        read: the lines that follow it.
        policy: the model's; that which the history was built with.
        ledger: epoch and holdout source; and the sides of subjects and contents that no line of
            the history tells of.
        world: predictions, and which payloads are missing.
        totals: of the version before.
        open_: lines of the history to look at again.
        parent: offsets of the version before.

    Raises LabelOutsideSet, ClassTooSmall, EmptySplit.
    """
    build = _Build(history, read, policy, ledger, world)
    build.settle_copies()
    build.find_batch(open_)
    build.rule(totals)
    return build.grown(totals, open_, parent)


class _Build:
    """The steps of one build, and what they hand on to each other."""

    def __init__(
        self, history: History, read: Read, policy: ModelPolicy, ledger: Ledger, world: World
    ) -> None:
        self._below = history
        self._first = len(history)
        self._read = read
        self._policy = policy
        self._ledger = ledger
        self._world = world
        found, content = self._contents()
        lines = replace(read.lines, found=found, content=content, outcome=read.lines.outcome.copy())
        sides, self._rest = carried(lines, ledger)
        lines = replace(lines, sides=sides)
        self._layer = layer(self._first, lines, subjects=read.subjects, identities=read.identities)
        self._history = history.on_top(self._layer)
        self._speaks: Mask = lines.outcome != CODE[Reason.UNREADABLE]
        self._alone: Mask = np.zeros(len(lines), bool)
        self._batch: Numbers = np.zeros(0, np.int64)  # numbers, sorted
        self._verdicts: dict[int, Verdict] = {}
        self._late: dict[int, Judged] = {}  # what lines of the history judge, known only now

    def _contents(self) -> tuple[Bytes, Bytes]:
        """Return of each new line what it judges, or why that is not known."""
        lines = self._read.lines
        found, contents = lines.found.copy(), lines.content.copy()
        plain = np.nonzero(found == 0)[0]
        asking = np.nonzero(found == ASK)[0]
        said = lines.verdicts(self._policy.name, asking)
        for line, what in zip(asking.tolist(), self._judged(said), strict=True):
            what.note(line, found, contents)
        plain = plain[~self._below.knows("contents", content_keys(contents[plain]))]
        names = addresses(contents[plain])
        missing = self._world.missing(set(names))
        if missing:
            gone = np.fromiter((name in missing for name in names), bool, len(names))
            found[plain[gone]] = CODE[Reason.PAYLOAD_MISSING]
        return found, contents

    def _judged(self, verdicts: Sequence[Verdict]) -> list[Judged]:
        return self._world.judged(verdicts, self._policy)

    def settle_copies(self) -> None:
        """Leave out what is a copy of another new line; what the history has copies of, waits."""
        lines, keys = self._layer.lines, self._read.identities
        repeated = self._layer.identities.repeated() - self._first
        repeated = repeated[
            self._speaks[repeated] & ~self._below.knows("identities", keys[repeated])
        ]
        repeated = np.sort(repeated)
        said = lines.verdicts(self._policy.name, repeated)
        left_out: dict[Place, Reason] = {}
        one_per_identity(said, left_out)
        for line, verdict in zip(repeated.tolist(), said, strict=True):
            if verdict.place in left_out:
                lines.outcome[line] = CODE[left_out[verdict.place]]
                self._speaks[line] = False

    def find_batch(self, open_: Numbers) -> None:
        """Find the lines that the new ones touch, and those of the new ones that touch none."""
        self._look_again(open_, self._below.state(open_), self._below.verdicts(open_))
        if not self._policy.dataset.holdout_source:  # where one is, who is alone may be examined
            self._alone = are_alone(
                self._layer,
                self._below,
                subjects=self._read.subjects,
                identities=self._read.identities,
                among=self._speaks,
                late=self._late_contents()[1],
            )
        new = np.nonzero(self._speaks & ~self._alone)[0] + self._first
        reached = np.union1d(new, np.array(sorted(self._late), np.int64))
        while len(reached):
            self._batch = np.union1d(self._batch, reached)
            reached = np.setdiff1d(self._neighbours(reached), self._batch)
        # A line alone may have copies, and one of these a subject that others speak of.
        self._alone[self._batch[self._batch >= self._first] - self._first] = False

    def _neighbours(self, lines: Numbers) -> Numbers:
        """Return the lines that share a subject, a content or an identity with these."""
        state, verdicts = self._history.state(lines), self._history.verdicts(lines)
        self._verdicts.update(zip(lines.tolist(), verdicts, strict=True))
        old = int(np.searchsorted(lines, self._first))
        self._look_again(lines[:old], state, verdicts[:old])
        wanted = {
            "subjects": np.array([key_of(one.subject_id) for one in verdicts], np.uint64),
            "identities": np.array([key_of(*one.identity) for one in verdicts], np.uint64),
            "contents": np.concatenate(
                [content_keys(state.content[state.found == 0]), self._late_contents()[1]]
            ),
        }
        found = [self._history.find(index, keys) for index, keys in wanted.items()]
        touched: Numbers = np.unique(np.concatenate(found))
        speaks: Mask = self._history.state(touched).outcome != CODE[Reason.UNREADABLE]
        return touched[speaks]

    def _look_again(self, lines: Numbers, state: State, verdicts: Sequence[Verdict]) -> None:
        """Note what lines of the history judge, if that can be told now and could not before."""
        count = len(lines)
        again = np.nonzero(is_open(state.found[:count], state.content[:count]))[0].tolist()
        looked = self._judged([verdicts[number] for number in again])
        for number, what in zip(again, looked, strict=True):
            if what.code != state.found[number]:
                self._late[int(lines[number])] = what

    def _late_contents(self) -> tuple[Numbers, Keys]:
        """Return the lines of the history whose content is known only now, and its keys."""
        known = {line: what.content for line, what in self._late.items() if what.code == 0}
        contents = np.array(list(known.values()), np.uint8).reshape(len(known), CONTENT_BYTES)
        return np.array(list(known), np.int64), content_keys(contents)

    def rule(self, totals: Totals) -> None:
        """Say what becomes of each line of the batch, and of each that is alone."""
        lines, read = self._layer.lines, self._read
        self._was = self._history.state(self._batch)
        self._said = [self._verdicts[line] for line in self._batch.tolist()]
        inputs = self._inputs()
        ledger = self._ledger_of(inputs)
        exam = Exam.of(self._said, self._policy.dataset.holdout_source)
        curated = curate(
            self._said,
            inputs,
            held=ledger.held_subjects,
            exam=exam,
            rank=ledger.rank(exam.subjects),
            reviewers=self._policy.dataset.reviewers,
        )
        alone = outcomes(lines, read.validation, self._policy.dataset.validation)
        alone[~self._alone] = 0
        old = self._was.outcome[: np.searchsorted(self._batch, self._first)]
        held = totals.held - int(np.isin(old, _HOLDOUT).sum()) + int(np.isin(alone, _HOLDOUT).sum())
        rows = (
            totals.rows
            - int(np.isin(old, SPLITS).sum())
            + int(np.isin(alone, (*SPLITS, FREE)).sum())
        )
        free = np.nonzero(alone == FREE)[0]
        offered = lowest(free, read.holdout, max(0, self._policy.dataset.holdout - held))
        candidates = [
            Example(
                verdict=verdict,
                payload_sha256=address(lines.content[line]),
                uncertain=False,
            )
            for line, verdict in zip(
                offered.tolist(), lines.verdicts(self._policy.name, offered), strict=True
            )
        ]
        divided = divide(
            [*curated.examples, *candidates],
            self._policy,
            ledger,
            reserved=exam.subjects,
            elsewhere=Elsewhere(held=held, total=rows - len(offered)),
        )
        splits = {row.subject: CODE[row.split] for row in divided.rows}
        alone[free] = training(read.validation[free], self._policy.dataset.validation)
        for line, candidate in zip(offered.tolist(), candidates, strict=True):
            alone[line] = splits[candidate.subject]
        lines.outcome[self._alone] = alone[self._alone]
        left_out = curated.left_out | divided.left_out
        self._outcome = np.array(
            [
                CODE[left_out[verdict.place]]
                if verdict.place in left_out
                else splits[verdict.subject_id]
                for verdict in self._said
            ],
            np.uint8,
        )

    def _inputs(self) -> dict[Place, str | Reason]:
        """Return what each verdict of the batch judges."""
        inputs: dict[Place, str | Reason] = {}
        for number, (line, verdict) in enumerate(
            zip(self._batch.tolist(), self._said, strict=True)
        ):
            found = self._was.found[number]
            known = address(self._was.content[number]) if found == 0 else Reason(NAMES[found])
            inputs[verdict.place] = self._late[line].input if line in self._late else known
        return inputs

    def _ledger_of(self, inputs: Inputs) -> Ledger:
        """Return what the ledger says of the batch's subjects and contents."""
        sides: dict[int, set[str]] = {bit: set() for bit in (*_SUBJECT_BITS, *_CONTENT_BITS)}
        for verdict, marked in zip(self._said, self._was.sides.tolist(), strict=True):
            what = inputs[verdict.place]
            for bit in _SUBJECT_BITS:
                if marked & bit:
                    sides[bit].add(verdict.subject_id)
            for bit in _CONTENT_BITS:
                if marked & bit and not isinstance(what, Reason):
                    sides[bit].add(what)
        return structs.replace(
            self._ledger,
            held_subjects=frozenset(sides[SUBJECT_HELD]),
            held_contents=frozenset(sides[CONTENT_HELD]),
            trained_subjects=frozenset(sides[SUBJECT_TRAINED]),
            trained_contents=frozenset(sides[CONTENT_TRAINED]),
        )

    def grown(self, totals: Totals, open_: Numbers, parent: Offsets) -> Grown:
        """Return what the build adds. Raises what `checks` raises."""
        lines = self._layer.lines
        old = int(np.searchsorted(self._batch, self._first))
        lines.outcome[self._batch[old:] - self._first] = self._outcome[old:]
        change = Change(self._read.sum)
        rows = count_new(change, self._read, lines, self._policy)
        rows += self._count_old(change, old)
        check_labels(sorted(rows, key=lambda row: row.subject), self._policy)
        after = change.applied(totals, len(lines))
        check_counts(after.counts, self._policy, after.left_out)
        lines.sides[:] |= marks(lines.outcome)
        top = patched(self._layer, self._patches(old), *self._late_contents())
        mine = np.nonzero(is_open(lines.found, lines.content))[0] + self._first
        looked = np.unique(np.concatenate([open_, self._batch, mine]))
        state = self._below.on_top(top).state(looked)
        still = is_open(state.found, state.content) & (state.outcome == state.found)
        since = effective(lines.outcome, lines.flags) & beyond(lines, parent)
        return Grown(
            layer=top,
            totals=after,
            open=looked[still],
            rest=self._rest,
            since=int(since.sum()),
        )

    def _count_old(self, change: Change, old: int) -> list[Row]:
        """Count what has changed of lines of the history; return rows that are new."""
        rows: list[Row] = []
        now, was = self._outcome[:old], self._was.outcome[:old]
        for number in np.nonzero(now != was)[0].tolist():
            verdict = self._said[number]
            late = self._late.get(int(self._batch[number]))
            known = address(self._was.content[number])
            what = known if late is None or late.digest is None else late.digest
            for code, sign in ((int(was[number]), -1), (int(now[number]), 1)):
                row = row_of(verdict, what, code)
                if row is None:
                    change.left_out[NAMES[code]] += sign
                    continue
                change.count(row, sign)
                change.effective += sign * (verdict.corrected and row.split is not Split.HOLDOUT)
                if sign > 0:
                    rows.append(row)
        return rows

    def _patches(self, old: int) -> Patches:
        """Return what has changed of lines of the history."""
        lines = self._batch[:old]
        found, contents = self._was.found[:old].copy(), self._was.content[:old].copy()
        for line, what in self._late.items():
            number = int(np.searchsorted(lines, line))
            what.note(number, found, contents)
        sides = self._was.sides[:old] | marks(self._outcome[:old])
        changed = (
            (self._outcome[:old] != self._was.outcome[:old])
            | (sides != self._was.sides[:old])
            | (found != self._was.found[:old])
        )
        return Patches(
            line=lines[changed],
            outcome=self._outcome[:old][changed],
            sides=sides[changed],
            found=found[changed],
            content=contents[changed],
        )
