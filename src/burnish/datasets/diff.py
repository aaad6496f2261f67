"""What changed from one dataset version to another, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from burnish.datasets.model import Fate, Row, Split


class Kind(StrEnum):
    """What may happen to a subject between two versions. One may have several changes."""

    ADDED = "added"
    REMOVED = "removed"
    RELABELLED = "relabelled"
    MOVED = "moved"  # to another split
    REPLACED = "replaced"  # shows another content


class Change(Struct, frozen=True, kw_only=True):
    """One subject's change."""

    kind: Kind
    subject: str
    before: str | None  # label, split or content, as the kind says; of added and removed: the label
    after: str | None
    split: Split  # that it is in, or was removed from
    reason: str  # in words of `datasets.model.Reason`, "new", "newer verdict" or "new epoch"


class Diff(Struct, frozen=True, kw_only=True):
    """Everything that changed, in figures, and the first changes one by one."""

    base: str
    dataset: str
    unchanged: int
    counts: dict[str, int]  # kind -> subjects
    reasons: dict[str, dict[str, int]]  # kind -> reason -> subjects
    changes: list[Change]  # by subject
    cut: bool  # whether there are more changes than listed


def compare(
    base: Iterable[Row],
    rows: Iterable[Row],
    *,
    before: Iterable[Fate],
    after: Iterable[Fate],
    new_epoch: bool,
) -> tuple[list[Change], int]:
    """Return the changes from `base` to `rows`, by subject, and how many subjects have none.

    Args:
        base: the older version's examples.
        rows: the newer version's.
        before: what became of the older version's records.
        after: what became of the newer version's.
        new_epoch: whether the newer version has another holdout.
    """
    old = {row.subject: row for row in base}
    new = {row.subject: row for row in rows}
    touched = {
        subject for subject in old.keys() | new.keys() if old.get(subject) != new.get(subject)
    }
    was = _reasons(before, touched)
    became = _reasons(after, touched)
    changes: list[Change] = []
    for subject in sorted(touched):
        changes += _changes(
            subject,
            old.get(subject),
            new.get(subject),
            was=was.get(subject),
            became=became.get(subject),
            new_epoch=new_epoch,
        )
    return changes, len(new.keys() - touched)


def summary(base: str, dataset: str, changes: list[Change], unchanged: int, *, limit: int) -> Diff:
    """Return the changes in figures, and the first `limit` of them."""
    reasons: dict[str, dict[str, int]] = {kind.value: {} for kind in Kind}
    for (kind, reason), count in sorted(Counter((c.kind, c.reason) for c in changes).items()):
        reasons[kind][reason] = count
    return Diff(
        base=base,
        dataset=dataset,
        unchanged=unchanged,
        counts={kind: sum(of.values()) for kind, of in reasons.items()},
        reasons=reasons,
        changes=changes[:limit],
        cut=len(changes) > limit,
    )


def _reasons(fates: Iterable[Fate], subjects: set[str]) -> Mapping[str, str]:
    """Return why each subject's last record that was left out, was."""
    return {
        fate.subject: fate.reason.value
        for fate in fates
        if fate.reason is not None and fate.subject in subjects
    }


def _changes(
    subject: str,
    old: Row | None,
    new: Row | None,
    *,
    was: str | None,
    became: str | None,
    new_epoch: bool,
) -> Iterator[Change]:
    def change(kind: Kind, row: Row, before: str | None, after: str | None, why: str) -> Change:
        return Change(
            kind=kind, subject=subject, before=before, after=after, split=row.split, reason=why
        )

    if new is None and old is not None:
        yield change(Kind.REMOVED, old, old.label, None, became or "erased")
    elif old is None and new is not None:
        yield change(Kind.ADDED, new, None, new.label, f"was {was}" if was else "new")
    elif old is not None and new is not None:
        if old.label != new.label:
            yield change(Kind.RELABELLED, new, old.label, new.label, "newer verdict")
        if old.payload_sha256 != new.payload_sha256:
            digests = old.payload_sha256, new.payload_sha256
            yield change(Kind.REPLACED, new, *digests, "newer verdict")
        if old.split is not new.split:
            why = "new epoch" if new_epoch else "policy"
            yield change(Kind.MOVED, new, old.split.value, new.split.value, why)
