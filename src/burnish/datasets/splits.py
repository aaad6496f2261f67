"""Splits: who trains, who validates, who is held out; and the ledger by which none changes side.

A subject's place is a function of its hash, but a hash alone cannot promise that nothing which
trained is ever held out: a subject may later be asked for by uncertainty, or show content that
another subject showed before. So each version carries a *ledger* of every subject and content that
was ever on a side, and its successor keeps to it:

- what was held out stays held out for the epoch; what trained is never held out again, ever;
- a holdout below its size is filled up with the lowest-hash subjects among those that have never
  been on a side and were not chosen by uncertainty;
- what may be on neither side is left out with its reason, rather than moved.

An epoch ends when the policy names another `holdout_source`: then the old holdout may train. It
also ends when the holdout was looked at as often as the policy's `look_budget` allows, since each
look tells a little of it, and models chosen by it for long enough are fitted to it; or when an
operator says so. The old holdout goes to the training side then, so that the new one is drawn only
from subjects that nobody has looked at. Until there are enough of those, they are kept for it: left
out, on no side.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct, structs

from burnish.datasets.model import Example, Reason, Row, Split
from burnish.feedback.verdict import Place
from burnish.kernel.digest import canonical, digest, hexadecimal
from burnish.kernel.policy import DatasetPolicy, ModelPolicy

HOLDOUT_SHARE_MAX = 0.3  # of all examples: little data must train before it judges
FRESH_MIN = 30  # examples of a new holdout: of fewer, 90 % right may mean 74 % (Wilson, 95 %)
_HASH_RANGE = 1 << 64


class Ledger(Struct, frozen=True, kw_only=True):
    """Every subject and content (its digest) that was ever on a side, up to one version."""

    epoch: int = 1
    holdout_source: str = ""
    held_subjects: frozenset[str] = frozenset()  # in this epoch
    held_contents: frozenset[str] = frozenset()
    trained_subjects: frozenset[str] = frozenset()  # in any epoch; validation counts as training
    trained_contents: frozenset[str] = frozenset()

    def under(self, policy: DatasetPolicy) -> "Ledger":
        """Return the ledger to build with: a new epoch if the policy's holdout is another one."""
        if policy.holdout_source == self.holdout_source:
            return self
        return Ledger(
            epoch=self.epoch + 1,
            holdout_source=policy.holdout_source,
            trained_subjects=self.trained_subjects,
            trained_contents=self.trained_contents,
        )

    def rotated(self) -> "Ledger":
        """Return the ledger of the next epoch: what was held out now trains, and judges no more."""
        return structs.replace(
            self,
            epoch=self.epoch + 1,
            held_subjects=frozenset(),
            held_contents=frozenset(),
            trained_subjects=self.trained_subjects | self.held_subjects,
            trained_contents=self.trained_contents | self.held_contents,
        )

    def after(self, rows: Sequence[Row]) -> "Ledger":
        """Return the ledger with the sides of a version's rows added."""
        held = [row for row in rows if row.split is Split.HOLDOUT]
        trained = [row for row in rows if row.split is not Split.HOLDOUT]
        return structs.replace(
            self,
            held_subjects=self.held_subjects.union(row.subject for row in held),
            held_contents=self.held_contents.union(row.payload_sha256 for row in held),
            trained_subjects=self.trained_subjects.union(row.subject for row in trained),
            trained_contents=self.trained_contents.union(row.payload_sha256 for row in trained),
        )

    def rank(self, reserved: Collection[str]) -> Callable[[str], int]:
        """Return who stands first for content that several subjects show.

        Those with a side, so that no newcomer takes their place; then `reserved` ones, which can
        only be held out.
        """
        known = self.held_subjects | self.trained_subjects
        return lambda subject: 0 if subject in known else 1 if subject in reserved else 2


class Elsewhere(Struct, frozen=True, kw_only=True):
    """Examples of the same version that have their sides already: they only count."""

    held: int = 0
    total: int = 0


NOWHERE: Final = Elsewhere()


class Divided(Struct, frozen=True, kw_only=True):
    """The examples on their sides, sorted by subject, and why some are on none."""

    rows: list[Row]
    left_out: dict[Place, Reason]


def judges(held: int, policy: DatasetPolicy) -> bool:
    """Tell whether so many held-out examples are enough to judge by in a new epoch."""
    return held >= min(policy.holdout, FRESH_MIN)


def fraction(model: str, epoch: int, purpose: str, subject: str) -> float:
    """Return a subject's hash for one purpose: uniform in [0, 1), the same on any machine.

    >>> round(fraction("laundry", 1, "holdout", "task-1"), 6)
    0.665654
    """
    address = digest(canonical([model, epoch, purpose, subject]))
    return int(hexadecimal(address)[:16], 16) / _HASH_RANGE


def divide(
    examples: Iterable[Example],
    policy: ModelPolicy,
    ledger: Ledger,
    *,
    reserved: Collection[str] = frozenset(),
    elsewhere: Elsewhere = NOWHERE,
    worn: bool = False,
    fractions: Mapping[str, Mapping[Place, float]] = MappingProxyType({}),
) -> Divided:
    """Put each example on its side.

    Args:
        examples: what curation kept: one per subject and content.
        policy: the model's.
        ledger: of the parent version, `under` this policy.
        reserved: the subjects of `holdout_source`: held out or nowhere.
        elsewhere: examples that are not among these.
        worn: whether subjects that were never on a side are kept for the next holdout.
        fractions: those that are known already, by purpose, and by the place of the verdict.
    """
    held: list[Example] = []
    trained: list[Example] = []
    free: list[Example] = []
    left_out: dict[Place, Reason] = {}
    for example in examples:
        side = _side(example, ledger, reserved)
        if isinstance(side, Reason):
            left_out[example.verdict.place] = side
        elif side is Split.HOLDOUT:
            held.append(example)
        elif side is Split.TRAIN or policy.dataset.holdout_source:
            trained.append(example)
        else:
            free.append(example)

    if worn:
        left_out.update((example.verdict.place, Reason.RESERVED) for example in free)
        free = []

    def draw(purpose: str, example: Example) -> float:
        known = fractions.get(purpose, {}).get(example.verdict.place)
        if known is not None:
            return known
        return fraction(policy.name, ledger.epoch, purpose, example.subject)

    free.sort(key=lambda example: (draw("holdout", example), example.subject))
    total = elsewhere.total + len(held) + len(trained) + len(free)
    size = min(policy.dataset.holdout, int(HOLDOUT_SHARE_MAX * total))
    drawn = max(0, size - elsewhere.held - len(held))
    held += free[:drawn]
    trained += free[drawn:]
    rows = [_row(example, Split.HOLDOUT) for example in held]
    for example in trained:
        validates = draw("validation", example) < policy.dataset.validation
        rows.append(_row(example, Split.VALIDATION if validates else Split.TRAIN))
    return Divided(rows=sorted(rows, key=lambda row: row.subject), left_out=left_out)


def _side(example: Example, ledger: Ledger, reserved: Collection[str]) -> Split | Reason | None:
    """Return the side that an example is bound to, why it may be on none, or None if it is free.

    TRAIN stands for the whole training side; validation is drawn from it later.
    """
    subject, content = example.subject, example.payload_sha256
    trained = subject in ledger.trained_subjects or content in ledger.trained_contents
    if subject in reserved or subject in ledger.held_subjects:
        return Reason.TRAINED_BEFORE if trained else Split.HOLDOUT
    if content in ledger.held_contents:
        return Reason.HELD_OUT
    return Split.TRAIN if trained or example.uncertain else None


def _row(example: Example, split: Split) -> Row:
    return Row(
        subject=example.subject,
        label=example.verdict.final,
        payload_sha256=example.payload_sha256,
        split=split,
    )
