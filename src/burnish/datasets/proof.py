"""Proof: whether a version's stored files and payloads are still what its digests say.

Reading every payload takes long where there are many, so it is done in parts: the first says how
many payloads there are, each of the others proves some of them.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from burnish.datasets.model import Dataset, DatasetCorrupt, Row, Split
from burnish.kernel.digest import digest
from burnish.kernel.errors import BurnishError
from burnish.kernel.objects import ObjectNotFound, Objects, payload_key

PART: Final = 2000  # payloads read between two answers, at most


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be."""

    what: str  # "rows", "counts", "payload", …
    key: str
    detail: str  # what is wrong, and what to do
    erased: bool = False  # by a person's right: nothing is wrong with it


class Part(Struct, frozen=True, kw_only=True):
    """What a part of the proof has found."""

    checked: int  # payloads, up to the end of this part
    payloads: int  # all told
    next: int | None  # where to go on; None: nothing is left to read
    findings: list[Finding]


def prove_files(
    dataset: Dataset, reads: dict[str, Callable[[], object]], rows: Callable[[], list[Row]]
) -> list[Finding]:
    """Read every file, each against its digest, and count the rows again.

    Args:
        dataset: the version.
        reads: what reads each file and checks it, by the file's name.
        rows: what returns the examples, checked against the version's digest.
    """
    findings = []
    for what, read in reads.items():
        try:
            read()
        except (DatasetCorrupt, ObjectNotFound) as error:
            findings.append(_finding(what, dataset.id, error))
    try:
        found = rows()
    except (DatasetCorrupt, ObjectNotFound) as error:
        return [*findings, _finding("rows", dataset.id, error)]
    counted = {split.value: dict.fromkeys(dataset.counts.get(split, {}), 0) for split in Split}
    for row in found:
        counted[row.split][row.label] = counted[row.split].get(row.label, 0) + 1
    if counted != {split.value: dataset.counts.get(split, {}) for split in Split}:
        findings.append(
            Finding(
                what="counts",
                key=dataset.id,
                detail=f"The rows count {counted}, the database says {dataset.counts}: restore the"
                " database from a backup.",
            )
        )
    return findings


def prove_payloads(
    objects: Objects,
    payloads: list[str],
    first: int,
    *,
    erased: Callable[[list[str]], set[str]],
    enough: Callable[[], bool],
) -> Part:
    """Read a part of the payloads, each against its digest.

    Args:
        objects: where they are.
        payloads: the digests of all of the version.
        first: where this part begins.
        erased: which of some digests were erased.
        enough: whether it is time for an answer.
    """
    bad: list[tuple[str, str]] = []
    end = first
    for sha256 in payloads[first : first + PART]:
        end += 1
        try:
            if digest(objects.get(payload_key(sha256))) != sha256:
                bad.append((sha256, "its bytes have changed: restore it from a backup"))
        except ObjectNotFound:
            bad.append((sha256, "it is gone: restore it from a backup"))
        if enough():
            break
    gone = erased([sha256 for sha256, _ in bad]) if bad else set()
    return Part(
        checked=end,
        payloads=len(payloads),
        next=end if end < len(payloads) else None,
        findings=[
            Finding(what="payload", key=sha256, detail="it was erased", erased=True)
            if sha256 in gone
            else Finding(what="payload", key=sha256, detail=detail)
            for sha256, detail in bad
        ],
    )


def _finding(what: str, key: str, error: BurnishError) -> Finding:
    return Finding(what=what, key=key, detail=error.detail)
