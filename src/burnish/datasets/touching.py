"""Touching: which lines a build must rule on together, since they share something.

Those are the new lines, the lines of the same subjects, of the contents that those show, of the
subjects that show these, and so on until nothing more is touched. Within such a *batch* the rules
are the same functions as for a whole version; nothing outside of it can change by them. A new line
that touches nothing is left to `alone`, and so is one that `settling` lets stand for others.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from msgspec import structs

from burnish.datasets.alone import are_alone
from burnish.datasets.curation import Inputs, one_per_identity
from burnish.datasets.layers import History, State, layer
from burnish.datasets.lines import (
    ASK,
    CODE,
    CONTENT_BYTES,
    CONTENT_HELD,
    CONTENT_TRAINED,
    CORRECTED,
    EXAM,
    HELD,
    NAMES,
    SUBJECT_HELD,
    SUBJECT_TRAINED,
    TRAINED,
    Addresses,
    Keys,
    Lines,
    Mask,
    Numbers,
    address,
    content_keys,
    content_of,
    differ,
    key_of,
)
from burnish.datasets.looking import Judged, World, is_open
from burnish.datasets.model import Reason
from burnish.datasets.reading import Read
from burnish.datasets.settling import settle
from burnish.datasets.sides import carried
from burnish.datasets.sieves import Needles
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Place, Verdict
from burnish.kernel.policy import ModelPolicy

_SUBJECTS: Final = {SUBJECT_HELD: "held_subjects", SUBJECT_TRAINED: "trained_subjects"}
_CONTENTS: Final = {CONTENT_HELD: "held_contents", CONTENT_TRAINED: "trained_contents"}
_SILENT: Final = (CODE[Reason.UNREADABLE], CODE[Reason.ERASED])


class Batch:
    """The lines of one build: the new ones, as a layer, and those of the history that they touch.

    Attributes:
        layer: the new lines, of which only copies of each other have an outcome.
        rest: of the ledger, what no new line carries.
        alone: which of the new lines touch nothing.
        lines: numbers of all others that are ruled on, sorted; `said` and `was` go with them.
        late: what lines of the history judge otherwise than they did.
    """

    def __init__(
        self, history: History, read: Read, policy: ModelPolicy, *, ledger: Ledger, world: World
    ) -> None:
        self._below = history
        self._read = read
        self._policy = policy
        self._ledger = ledger
        self._world = world
        self.first: Final = len(history)
        self._stored: Final = {  # what the history has of the new lines' keys, by index
            "subjects": history.matches("subjects", read.subjects),
            "identities": history.matches("identities", read.identities),
        }
        lines = self._judged_lines()
        sides, self.rest = carried(lines, ledger)
        turns = None
        if policy.dataset.actor_share < 1:
            spoken = read.spoken(self.first, np.nonzero(lines.flags & CORRECTED)[0])
            turns = spoken.turns()
        self.layer: Final = layer(
            self.first,
            replace(lines, sides=sides),
            subjects=read.subjects,
            identities=read.identities,
            turns=turns,
        )
        self._history = history.on_top(self.layer)
        self._speaks: Mask = ~np.isin(lines.outcome, _SILENT)
        self._examines: Mask = lines.flags & EXAM != 0
        self._verdicts: dict[int, Verdict] = {}
        self.alone: Mask = np.zeros(len(lines), bool)
        self.lines: Numbers = np.zeros(0, np.int64)
        self.late: dict[int, Judged] = {}

    def _judged_lines(self) -> Lines:
        """Return the new lines with what each judges, or why that is not known."""
        lines = self._read.lines
        lines = replace(lines, outcome=lines.outcome.copy())
        asking = np.nonzero(lines.found == ASK)[0]
        said = lines.verdicts(self._policy.name, asking)
        judged = dict(zip(asking.tolist(), self._judge(said), strict=True))
        plain = np.nonzero(lines.found == 0)[0]
        stored = self._below.matches("contents", content_keys(lines.content))
        self._stored["contents"] = stored
        new = plain[~stored.any()[plain]]
        shown = self._world.shown(Addresses(lines.content, plain))
        missing = self._world.missing(Addresses(lines.content, new))
        if shown or missing:
            for line, name in zip(plain.tolist(), Addresses(lines.content, plain), strict=True):
                if name in shown:
                    judged[line] = shown[name]
                elif name in missing:
                    judged[line] = Judged(None, Reason.PAYLOAD_MISSING)
        if not judged:
            return lines
        found, contents = lines.found.copy(), lines.content.copy()
        for line, what in judged.items():
            what.note(line, found, contents)
        other = np.nonzero(differ(contents, lines.content))[0]
        if len(other):
            stored = self._below.matches("contents", content_keys(contents))
            self._stored["contents"] = stored
        other = other[lines.content[other].any(axis=1)]
        return replace(lines.spelled(other), found=found, content=contents)

    def _judge(self, verdicts: Sequence[Verdict]) -> list[Judged]:
        return self._world.judged(verdicts, self._policy)

    def settle_copies(self) -> None:
        """Leave out what is a copy of another new line; what the history has copies of, waits."""
        lines = self.layer.lines
        repeated = self.layer.identities.repeated().lines - self.first
        # Of an exam even a copy tells that a subject is in it.
        waits = self._examines[repeated] | self._stored["identities"].any()[repeated]
        repeated = np.sort(repeated[self._speaks[repeated] & ~waits])
        said = self.verdicts(repeated + self.first)
        left_out: dict[Place, Reason] = {}
        one_per_identity(said, left_out)
        for line, verdict in zip(repeated.tolist(), said, strict=True):
            if verdict.place in left_out:
                lines.outcome[line] = CODE[left_out[verdict.place]]
                self._speaks[line] = False

    def find(self, open_: Numbers, replaced: Collection[str]) -> None:
        """Find the lines that the new ones touch, and those of the new ones that touch none.

        Args:
            open_: lines of the history to look at again.
            replaced: contents to look at again, in whatever line.
        """
        self._replaced = content_keys(
            np.array([content_of(one) for one in replaced], np.uint8).reshape(-1, CONTENT_BYTES)
        )
        again = np.union1d(open_, self._below.find("contents", self._replaced))
        self._look_again(again, self._below.state(again), self._below.verdicts(again))
        spoken_of = self._stored["subjects"].any() | self._stored["identities"].any()
        settle(self.layer, self._read, spoken_of=spoken_of, speaks=self._speaks)
        shown_before = self._stored["contents"].any() & (self.layer.lines.found == 0)
        self.alone = are_alone(
            self.layer,
            among=self._speaks,
            shared=spoken_of | shown_before,
            late=self.late_contents()[1],
        )
        self.alone &= ~self._examines
        new = np.nonzero(self._speaks & ~self.alone)[0] + self.first
        self.extend(np.union1d(new, np.array(sorted(self.late), np.int64)))

    def extend(self, reached: Numbers) -> None:
        """Take lines in, and all that they touch."""
        state = self._history.state(reached)
        while len(reached):
            self.lines = np.union1d(self.lines, reached)
            fresh = np.setdiff1d(self._neighbours(reached, state), self.lines)
            state = self._history.state(fresh)
            speaks: Mask = ~np.isin(state.outcome, _SILENT)
            reached, state = fresh[speaks], state[speaks]
        self.old = int(np.searchsorted(self.lines, self.first))  # how many are of the history
        self.was: State = self._history.state(self.lines)
        self.said = self.verdicts(self.lines)
        # A line alone may have copies, and one of these a subject that others speak of.
        self.alone[self.lines[self.old :] - self.first] = False

    def _neighbours(self, lines: Numbers, state: State) -> Numbers:
        """Return the lines that share a subject, a content or an identity with these."""
        verdicts = self.verdicts(lines)
        old = int(np.searchsorted(lines, self.first))
        new = lines[old:] - self.first
        self._look_again(lines[:old], state, verdicts[:old])
        shown = state.found == 0
        contents = content_keys(state.content)
        subjects = [(one.subject_id,) for one in verdicts[:old]]
        identities = [one.identity for one in verdicts[:old]]
        found = [
            self._sharing("subjects", new, self._read.subjects[new], _keys(subjects)),
            self._sharing("identities", new, self._read.identities[new], _keys(identities)),
            self._sharing(
                "contents",
                new[shown[old:]],
                contents[old:][shown[old:]],
                np.concatenate([contents[:old][shown[:old]], self.late_contents()[1]]),
            ),
        ]
        return np.concatenate(found)

    def _sharing(self, index: str, new: Numbers, keys: Keys, others: Keys) -> Numbers:
        """Return the lines that have the key of one of some new lines, or one of other keys."""
        own = np.unique(np.concatenate([keys, others]))
        return np.concatenate(
            [
                self._stored[index].of(new),
                self._below.find(index, others),
                getattr(self.layer, index).matches(Needles(own))[1],
            ]
        )

    def verdicts(self, lines: Numbers) -> list[Verdict]:
        """Return what lines say, in sorted order of their numbers; each is unpacked once."""
        known = self._verdicts
        asked = lines.tolist()
        fresh = lines[np.array([line not in known for line in asked], bool)]
        known.update(zip(fresh.tolist(), self._history.verdicts(fresh), strict=True))
        return [known[line] for line in asked]

    def _look_again(self, lines: Numbers, state: State, verdicts: Sequence[Verdict]) -> None:
        """Note what lines of the history judge, if that can be told now and could not before."""
        found, contents = state.found[: len(lines)], state.content[: len(lines)]
        open_ = is_open(found, contents, state.flags[: len(lines)])
        open_ |= (found == 0) & np.isin(content_keys(contents), self._replaced)
        again = np.nonzero(open_)[0].tolist()
        looked = self._judge([verdicts[number] for number in again])
        for number, what in zip(again, looked, strict=True):
            other = what.code == 0 and what.digest != address(contents[number])
            if what.code != found[number] or other:
                self.late[int(lines[number])] = what

    def late_contents(self) -> tuple[Numbers, Keys]:
        """Return the lines of the history whose content is known only now, and its keys."""
        known = {line: what.content for line, what in self.late.items() if what.code == 0}
        contents = np.array(list(known.values()), np.uint8).reshape(len(known), CONTENT_BYTES)
        return np.array(list(known), np.int64), content_keys(contents)

    def moved(self) -> Mask:
        """Tell which lines of the history judge another content than they did."""
        moved = np.zeros(self.old, bool)
        for line, what in self.late.items():
            number = int(np.searchsorted(self.lines, line))
            known = self.was.found[number] == 0 and what.digest is not None
            moved[number] = known and what.digest != address(self.was.content[number])
        return moved

    def inputs(self) -> dict[Place, str | Reason]:
        """Return what each verdict of the batch judges."""
        inputs: dict[Place, str | Reason] = {}
        for number, (line, verdict) in enumerate(zip(self.lines.tolist(), self.said, strict=True)):
            found = self.was.found[number]
            known = address(self.was.content[number]) if found == 0 else Reason(NAMES[found])
            inputs[verdict.place] = self.late[line].input if line in self.late else known
        return inputs

    def rest_with(self, moved: Mask) -> Ledger:
        """Return the rest, and with it the sides of contents that lines used to judge."""
        left = {name: set(getattr(self.rest, name)) for name in _CONTENTS.values()}
        for number in np.nonzero(moved)[0].tolist():
            for bit, name in _CONTENTS.items():
                if self.was.sides[number] & bit:
                    left[name].add(address(self.was.content[number]))
        return structs.replace(
            self.rest, **{name: frozenset(found) for name, found in left.items()}
        )

    def ledger(self, inputs: Inputs) -> Ledger:
        """Return what the ledger says of the batch's subjects and contents."""
        subjects, contents = {one.subject_id for one in self.said}, set(inputs.values())
        asked = dict.fromkeys(_SUBJECTS.values(), subjects)
        asked |= dict.fromkeys(_CONTENTS.values(), contents)
        # What no line carried may be what a line judges only now.
        sides = {name: set(getattr(self._ledger, name) & values) for name, values in asked.items()}
        for number in np.nonzero(self.was.sides & (HELD | TRAINED))[0].tolist():
            verdict, marks = self.said[number], int(self.was.sides[number])
            content = address(self.was.content[number])
            same = inputs[verdict.place] == content
            for bit, name in (_SUBJECTS | _CONTENTS if same else _SUBJECTS).items():
                if marks & bit:
                    sides[name].add(content if bit in _CONTENTS else verdict.subject_id)
        return structs.replace(
            self._ledger, **{name: frozenset(found) for name, found in sides.items()}
        )


def _keys(names: Sequence[tuple[str, ...]]) -> Keys:
    """Return the keys of names."""
    return np.array([key_of(*name) for name in names], np.uint64)
