"""Growth: a history and the lines that follow it, made into the next version.

What `assembly.assemble` does to all verdicts at once, this does to the lines that `touching` finds:
within these the rules are the same functions, called on them alone. Only the share of an actor and
the holdout are of all examples: of these the version before hands on what must be known.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from burnish.datasets.accounting import (
    Change,
    Totals,
    beyond,
    count_new,
    effective,
    marks,
    row_of,
)
from burnish.datasets.alone import FREE, is_kept, lowest, outcomes, training
from burnish.datasets.checks import check_counts, check_labels
from burnish.datasets.curation import Exam, curate
from burnish.datasets.layers import History, Layer, Patches, patched
from burnish.datasets.lines import (
    CODE,
    CONTENT_HELD,
    CONTENT_TRAINED,
    CORRECTED,
    COUNTED,
    NAMES,
    SPLITS,
    Mask,
    Numbers,
    address,
    differ,
)
from burnish.datasets.looking import World, is_open
from burnish.datasets.model import Example, Reason, Row, Split
from burnish.datasets.rations import Former, Standing, rationed
from burnish.datasets.reading import Read
from burnish.datasets.shares import counted
from burnish.datasets.splits import Elsewhere, Ledger, divide
from burnish.datasets.touching import Batch
from burnish.datasets.turns import Actor, Queue, Spoken, turn_of
from burnish.feedback.verdict import Offsets, Place
from burnish.kernel.policy import ModelPolicy

_HOLDOUT: Final = CODE[Split.HOLDOUT]
_OVER: Final = CODE[Reason.ACTOR_SHARE]


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the version before hands on besides its lines."""

    totals: Totals
    offsets: Offsets = field(default_factory=dict)
    open: Sequence[int] = ()  # lines of the history to look at again
    standings: Sequence[Standing] = ()  # none where no share is capped
    replaced: Collection[str] = ()  # contents that no longer stand for themselves since then


@dataclass(frozen=True, kw_only=True)
class Grown:
    """What a build adds: one layer, and the totals of the version that it makes."""

    layer: Layer
    totals: Totals
    open: Numbers  # lines that another look may judge otherwise
    standings: Sequence[Standing]
    rest: Ledger  # of sides, what no line carries
    since: int  # effective corrections beyond the parent's offsets


def grow(
    history: History,
    read: Read,
    policy: ModelPolicy,
    *,
    ledger: Ledger,
    world: World,
    before: Before,
    worn: bool = False,
) -> Grown:
    """Return what the lines that were read make of the history.

    Args:
        history: what the version before has; empty for a build from nothing.
        read: the lines that follow it.
        policy: the model's; that which the history was built with.
        ledger: epoch and holdout source; and the sides of subjects and contents that no line of
            the history tells of.
        world: predictions, and which payloads are missing.
        before: what else the version before handed on.
        worn: whether subjects that were never on a side are kept for the next holdout.

    Raises LabelOutsideSet, ClassTooSmall, EmptySplit.
    """
    batch = Batch(history, read, policy, ledger=ledger, world=world)
    batch.settle_copies()
    batch.find(np.array(before.open, np.int64), before.replaced)
    build = _Build(history, read, policy, batch, before, worn=worn)
    build.rule()
    return build.grown()


class _Build:
    """The steps of one build, and what they hand on to each other."""

    def __init__(
        self,
        history: History,
        read: Read,
        policy: ModelPolicy,
        batch: Batch,
        before: Before,
        *,
        worn: bool,
    ) -> None:
        self._below = history
        self._read = read
        self._policy = policy
        self._batch = batch
        self._before = before
        self._lines = batch.layer.lines
        self._worn = worn
        # What each line that is alone comes to, and FREE where that is still open.
        self._alone = outcomes(self._lines, read.validation, policy.dataset.validation)
        if worn:
            self._alone[self._alone == FREE] = CODE[Reason.RESERVED]
        elif policy.dataset.holdout_source:
            trains = np.nonzero(self._alone == FREE)[0]
            self._alone[trains] = training(read.validation[trains], policy.dataset.validation)
        self._standings: Sequence[Standing] = ()
        self._over: Numbers = np.zeros(0, np.int64)  # lines beyond their actor's share, sorted

    def rule(self) -> None:
        """Say what becomes of each line of the batch, and of each that is alone."""
        self._curate()
        if self._policy.dataset.actor_share < 1:
            self._share_out()
        self._divide()

    def _curate(self) -> None:
        batch, rules = self._batch, self._policy.dataset
        inputs = batch.inputs()
        self._ledger = batch.ledger(inputs)
        self._exam = Exam.of(batch.said, rules.holdout_source)
        self._curated = curate(
            batch.said,
            inputs,
            held=self._ledger.held_subjects,
            exam=self._exam,
            rank=self._ledger.rank(self._exam.subjects),
            reviewers=rules.reviewers,
        )
        self._line_of = dict(
            zip((verdict.place for verdict in batch.said), batch.lines.tolist(), strict=True)
        )
        # Those that are counted in shares.
        kept = counted(self._curated.examples, self._exam.subjects)
        self._counted = np.array(sorted(self._line_of[one.verdict.place] for one in kept), np.int64)

    def _share_out(self) -> None:
        """Find who is beyond their share; take in those of the history for whom that changes."""
        batch, before = self._batch, self._before
        told = rationed(
            self._below,
            self._policy.dataset.actor_share,
            before.standings,
            former=self._former(),
            candidates=self._candidates(),
            decided=batch.lines[: batch.old],
        )
        self._standings, self._over = told.standings, told.beyond
        if len(told.changed):
            decided = batch.lines
            batch.extend(told.changed)
            self._curate()
            taken = np.setdiff1d(batch.lines, np.union1d(decided, told.changed))
            stay = taken[self._below.state(taken).outcome == _OVER]
            self._over = np.union1d(self._over, stay)

    def _former(self) -> Former:
        """Return whose corrections in the batch were within their share, and whose beyond."""
        batch = self._batch
        was: tuple[Counter[Actor], Counter[Actor]] = Counter(), Counter()
        for number in np.nonzero(batch.was.sides[: batch.old] & COUNTED)[0].tolist():
            was[int(batch.was.outcome[number] == _OVER)][batch.said[number].actor] += 1
        return Former(within=was[0], beyond=was[1])

    def _counted_alone(self) -> Mask:
        mask: Mask = self._batch.alone & (self._lines.flags & CORRECTED != 0) & is_kept(self._alone)
        return mask

    def _candidates(self) -> Spoken:
        """Return all that is decided on and counted in shares."""
        batch, mine = self._batch, self._counted
        new = mine[mine >= batch.first] - batch.first
        new = np.concatenate([new, np.nonzero(self._counted_alone())[0]])
        old = mine[mine < batch.first]
        said = [batch.said[number] for number in np.searchsorted(batch.lines, old).tolist()]
        turns = [turn_of(verdict) for verdict in said]
        people: dict[Actor, int] = {}
        actors = [people.setdefault(verdict.actor, len(people)) for verdict in said]
        former = Spoken(
            people=tuple(people),
            actors=np.array(actors, np.uint32),
            queue=Queue(
                happened=np.array([turn[0] for turn in turns], np.int64),
                identities=np.array([turn[1] for turn in turns], np.uint64),
                lines=old,
            ),
        )
        return Spoken.joined([former, self._read.spoken(batch.first, new)])

    def _divide(self) -> None:
        """Put every example on its side, and say of all others why they are on none."""
        batch, lines, rules = self._batch, self._lines, self._policy.dataset
        self._mark_counted()
        alone = self._alone
        alone[self._over[self._over >= batch.first] - batch.first] = _OVER
        alone[~batch.alone] = 0
        free, old = np.nonzero(alone == FREE)[0], batch.was.outcome[: batch.old]
        held = self._before.totals.held - int(np.isin(old, _HOLDOUT).sum())
        held += int(np.isin(alone, _HOLDOUT).sum())
        rows = self._before.totals.rows - int(np.isin(old, SPLITS).sum())
        rows += int(np.isin(alone, (*SPLITS, FREE)).sum())
        offered = lowest(free, self._read.holdout, max(0, rules.holdout - held))
        candidates = [
            Example(verdict=verdict, payload_sha256=address(lines.content[line]), uncertain=False)
            for line, verdict in zip(
                offered.tolist(), lines.verdicts(self._policy.name, offered), strict=True
            )
        ]
        over = set(self._over.tolist())
        examples, left_out = list(candidates), dict(self._curated.left_out)
        for example in self._curated.examples:
            if self._line_of[example.verdict.place] in over:
                left_out[example.verdict.place] = Reason.ACTOR_SHARE
            else:
                examples.append(example)
        divided = divide(
            examples,
            self._policy,
            self._ledger,
            reserved=self._exam.subjects,
            elsewhere=Elsewhere(held=held, total=rows - len(offered)),
            worn=self._worn,
            fractions=self._fractions(candidates, offered),
        )
        left_out |= divided.left_out
        splits = {row.subject: CODE[row.split] for row in divided.rows}
        alone[free] = training(self._read.validation[free], rules.validation)
        for line, candidate in zip(offered.tolist(), candidates, strict=True):
            alone[line] = splits[candidate.subject]
        lines.outcome[batch.alone] = alone[batch.alone]
        self._outcome = np.array(
            [
                CODE[left_out[verdict.place]]
                if verdict.place in left_out
                else splits[verdict.subject_id]
                for verdict in batch.said
            ],
            np.uint8,
        )
        lines.outcome[batch.lines[batch.old :] - batch.first] = self._outcome[batch.old :]

    def _fractions(
        self, candidates: Sequence[Example], offered: Numbers
    ) -> dict[str, dict[Place, float]]:
        """Return what was drawn for new lines while they were read."""
        batch = self._batch
        new = batch.lines[batch.old :] - batch.first
        said = [one.place for one in batch.said[batch.old :]]
        said += [one.verdict.place for one in candidates]
        lines = np.concatenate([new, offered])
        return {
            purpose: dict(zip(said, draws[lines].tolist(), strict=True))
            for purpose, draws in (
                ("holdout", self._read.holdout),
                ("validation", self._read.validation),
            )
        }

    def _mark_counted(self) -> None:
        """Note of each line that is decided on whether shares count it."""
        batch = self._batch
        self._sides = batch.was.sides & ~np.uint8(COUNTED)
        if self._policy.dataset.actor_share < 1:
            self._lines.sides[self._counted_alone()] |= COUNTED
            self._sides[np.searchsorted(batch.lines, self._counted)] |= COUNTED

    def grown(self) -> Grown:
        """Return what the build adds. Raises what `checks` raises."""
        batch, lines, before = self._batch, self._lines, self._before
        self._moved = batch.moved()
        change = Change(self._read.sum)
        rows = count_new(change, self._read, lines, self._policy)
        rows += self._count_old(change)
        check_labels(sorted(rows, key=lambda row: row.subject), self._policy)
        totals = change.applied(before.totals, len(lines))
        check_counts(totals.counts, self._policy, totals.left_out)
        self._sides[: batch.old][self._moved] &= ~np.uint8(CONTENT_HELD | CONTENT_TRAINED)
        self._sides |= marks(self._outcome)
        lines.sides[batch.lines[batch.old :] - batch.first] = self._sides[batch.old :]
        lines.sides[batch.alone] |= marks(lines.outcome[batch.alone])
        top = patched(batch.layer, self._patches(), *batch.late_contents())
        mine = np.nonzero(is_open(lines.found, lines.content, lines.flags))[0] + batch.first
        looked = np.unique(np.concatenate([np.array(before.open, np.int64), batch.lines, mine]))
        state = self._below.on_top(top).state(looked)
        still = is_open(state.found, state.content, state.flags) & (state.outcome == state.found)
        since = effective(lines.outcome, lines.flags) & beyond(lines, before.offsets)
        return Grown(
            layer=top,
            totals=totals,
            open=looked[still],
            standings=self._standings,
            rest=batch.rest_with(self._moved),
            since=int(since.sum()),
        )

    def _count_old(self, change: Change) -> list[Row]:
        """Count what has changed of lines of the history; return rows that are new."""
        batch = self._batch
        rows: list[Row] = []
        now, was = self._outcome[: batch.old], batch.was.outcome[: batch.old]
        for number in np.nonzero((now != was) | self._moved)[0].tolist():
            verdict = batch.said[number]
            late = batch.late.get(int(batch.lines[number]))
            known = address(batch.was.content[number])
            what = known if late is None or late.digest is None else late.digest
            for content, code, sign in ((known, was[number], -1), (what, now[number], 1)):
                row = row_of(verdict, content, int(code))
                if row is None:
                    change.left_out[NAMES[code]] += sign
                    continue
                change.count(row, sign)
                change.effective += sign * (verdict.corrected and row.split is not Split.HOLDOUT)
                if sign > 0:
                    rows.append(row)
        return rows

    def _patches(self) -> Patches:
        """Return what has changed of lines of the history."""
        batch = self._batch
        old = slice(0, batch.old)
        lines, was = batch.lines[old], batch.was
        found, contents = was.found[old].copy(), was.content[old].copy()
        for line, what in batch.late.items():
            what.note(int(np.searchsorted(lines, line)), found, contents)
        outcome, sides = self._outcome[old], self._sides[old]
        changed = (outcome != was.outcome[old]) | (sides != was.sides[old])
        changed |= (found != was.found[old]) | differ(contents, was.content[old])
        return Patches(
            line=lines[changed],
            outcome=outcome[changed],
            sides=sides[changed],
            found=found[changed],
            content=contents[changed],
        )
