"""The files of a dataset version: their bytes, their keys, and how a digest is made of rows.

Below `datasets/<hex of the version's digest>/`:

- `rows.ndjson`: the examples, sorted by subject; the digest vouches for it;
- `manifest.<hex>.json`: what it was built from and by; the row in the database names its digest;
- `fates.<hex>.ndjson`: what became of every line of the raw log that was read, a block of lines in
  each; `fates-of.<hex of the manifest>.json` lists the blocks, so that one line's fate is found
  without the manifest, which names every payload;
- `ledger.<hex>.json`: who was ever on which side, for the next version.

Manifest, fates and ledger are named by their own digest too: a build that died before its row
appeared leaves files that a later build, from other offsets but with equal rows, neither reads nor
trips over.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from burnish.datasets.model import Dataset, DatasetCorrupt, Fate, Row, Split
from burnish.feedback.verdict import Offsets
from burnish.kernel.digest import canonical, digest, digest_lines, hexadecimal
from burnish.kernel.objects import Objects

FORMAT = 1
BLOCK_LINES = 16_384  # of fates: some 2 MB, read in some 20 ms

T = TypeVar("T")


class Source(Struct, frozen=True, kw_only=True):
    """One place that records came from, and up to where."""

    kind: str  # "raw_log"
    offsets: Offsets
    records: int  # of this model


class File(Struct, frozen=True, kw_only=True):
    """One object in the store, by its digest."""

    key: str
    sha256: str


class FateBlock(Struct, frozen=True, kw_only=True):
    """A part of the fates: those from its first place up to the next block's."""

    shard: str
    offset: int  # of its first line
    file: File


class Corrections(Struct, frozen=True, kw_only=True):
    """Effective corrections: corrected subjects that train or validate."""

    effective: int
    since_parent: int  # those whose verdict lies beyond the parent's offsets


class Manifest(Struct, frozen=True, kw_only=True):
    """Everything that must be known to build the version again, and to find its parts."""

    format: int
    id: str
    model: str
    digest: str
    policy_digest: str
    parent: str | None
    epoch: int  # of the holdout
    sources: list[Source]
    counts: dict[str, dict[str, int]]  # split -> label -> examples
    corrections: Corrections
    left_out: dict[str, int]  # reason -> records
    payloads: list[str]  # digests, sorted
    rows: File
    fates: list[FateBlock]
    ledger: File
    tools: dict[str, str]  # name -> version


def lines(values: Iterable[Struct]) -> bytes:
    """Return values as NDJSON, one canonical JSON object a line."""
    return b"".join(canonical(value) + b"\n" for value in values)


def rows_digest(rows: Iterable[Row], policy_digest: str) -> str:
    """Return a dataset's digest: of its rows in order of subject, then of its policy."""
    return digest_lines([*map(canonical, rows), policy_digest.encode()])


def tally(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count examples per split and label; what has none counts 0."""
    seen = Counter((row.split, row.label) for row in rows)
    return {split.value: {label: seen[split, label] for label in labels} for split in Split}


def left_out(fates: Iterable[Fate]) -> dict[str, int]:
    """Count the records that are in no split, by reason."""
    reasons = Counter(fate.reason.value for fate in fates if fate.reason is not None)
    return dict(sorted(reasons.items()))


def rows_key(dataset_digest: str) -> str:
    """Return the key of a version's examples.

    >>> rows_key("sha256:" + "ab" * 32)[:14]
    'datasets/ababa'
    """
    return f"datasets/{hexadecimal(dataset_digest)}/rows.ndjson"


def store_rows(objects: Objects, dataset_digest: str, rows: Iterable[Row]) -> File:
    """Put a version's examples where its digest says."""
    data = lines(rows)
    file = File(key=rows_key(dataset_digest), sha256=digest(data))
    objects.put(file.key, data)
    return file


def manifest_key(dataset_digest: str, manifest_digest: str) -> str:
    """Return the key of a version's manifest."""
    return _key(dataset_digest, "manifest", manifest_digest, "json")


def store_lines(objects: Objects, dataset_digest: str, stem: str, values: Iterable[Struct]) -> File:
    """Put values as NDJSON below a dataset's folder, named by their own digest."""
    data = lines(values)
    file = File(key=_key(dataset_digest, stem, digest(data), "ndjson"), sha256=digest(data))
    objects.put(file.key, data)
    return file


def store_fates(objects: Objects, dataset_digest: str, fates: Sequence[Fate]) -> list[FateBlock]:
    """Put the fates, sorted by place, in blocks below a dataset's folder."""
    blocks = []
    for start in range(0, len(fates), BLOCK_LINES):
        block = fates[start : start + BLOCK_LINES]
        file = store_lines(objects, dataset_digest, "fates", block)
        blocks.append(FateBlock(shard=block[0].shard, offset=block[0].offset, file=file))
    return blocks


def store_fate_index(objects: Objects, dataset: Dataset, blocks: Sequence[FateBlock]) -> None:
    """Put the list of blocks where a reader finds it who has only the dataset's row."""
    objects.put(fate_index_key(dataset), canonical(blocks))


def fate_index_key(dataset: Dataset) -> str:
    """Return the key of the list of blocks: named by the manifest, which vouches for them."""
    return _key(dataset.digest, "fates-of", dataset.manifest, "json")


def find_fate(objects: Objects, dataset: Dataset, shard: str, offset: int) -> Fate | None:
    """Return what became of one line of the raw log; None if it is not of this dataset's model.

    It reads two small objects, however many lines there are. Raises DatasetCorrupt.
    """
    blocks = msgspec.json.decode(objects.get(fate_index_key(dataset)), type=list[FateBlock])
    place = shard, offset
    number = bisect_right(blocks, place, key=lambda block: (block.shard, block.offset)) - 1
    if number < 0:
        return None
    fates = load_lines(objects, blocks[number].file, Fate)
    index = bisect_left(fates, place, key=lambda fate: (fate.shard, fate.offset))
    found = fates[index] if index < len(fates) else None
    return found if found is not None and (found.shard, found.offset) == place else None


def store_value(objects: Objects, dataset_digest: str, stem: str, value: Struct) -> File:
    """Put one value as JSON below a dataset's folder, named by its own digest."""
    data = canonical(value)
    file = File(key=_key(dataset_digest, stem, digest(data), "json"), sha256=digest(data))
    objects.put(file.key, data)
    return file


def load_value(objects: Objects, file: File, type_: type[T]) -> T:
    """Return what `store_value` put. Raises DatasetCorrupt."""
    return msgspec.json.decode(_verified(objects, file), type=type_)


def load_lines(objects: Objects, file: File, type_: type[T]) -> list[T]:
    """Return what `store_lines` put. Raises DatasetCorrupt."""
    return msgspec.json.Decoder(type_).decode_lines(_verified(objects, file))


def load_rows(objects: Objects, dataset: Dataset) -> list[Row]:
    """Return a version's examples, checked against its digest. Raises DatasetCorrupt."""
    key = rows_key(dataset.digest)
    rows = msgspec.json.Decoder(Row).decode_lines(objects.get(key))
    if rows_digest(rows, dataset.policy_digest) != dataset.digest:
        raise _corrupt(key)
    return rows


def load_manifest(objects: Objects, dataset: Dataset) -> Manifest:
    """Return a version's manifest, checked against the digest in its row."""
    key = manifest_key(dataset.digest, dataset.manifest)
    return load_value(objects, File(key=key, sha256=dataset.manifest), Manifest)


def _key(dataset_digest: str, stem: str, own: str, suffix: str) -> str:
    return f"datasets/{hexadecimal(dataset_digest)}/{stem}.{hexadecimal(own)}.{suffix}"


def _verified(objects: Objects, file: File) -> bytes:
    data = objects.get(file.key)
    if digest(data) != file.sha256:
        raise _corrupt(file.key)
    return data


def _corrupt(key: str) -> DatasetCorrupt:
    return DatasetCorrupt(
        f"Object {key!r} is not what its digest says: restore it from a backup.", key=key
    )
