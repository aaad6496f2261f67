"""The files of a dataset version, their keys, and what of them a version shares with its parent.

Below `datasets/<hex of the version's digest>/`:

- `layer.<hex>.bin`: lines of the raw log and what became of them, as columns; those that this
  version added, or merged of its parent's;
- `state.<hex>.json`: what its successor must know besides;
- `manifest.<hex>.json`: what it was built from and by, and its layers, wherever they lie; the row
  in the database names its digest.

All are named by their own digest: a build that died before its row appeared leaves files that a
later build, from other offsets but with equal rows, neither reads nor trips over.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from burnish.datasets.compaction import cut, falls, merged
from burnish.datasets.contents import Noted
from burnish.datasets.layers import History, Layer
from burnish.datasets.model import Dataset, DatasetCorrupt
from burnish.datasets.rations import Standing
from burnish.datasets.splits import Ledger
from burnish.feedback.verdict import Offsets
from burnish.kernel.digest import Part, canonical, digest, hexadecimal
from burnish.kernel.objects import Objects, view

FORMAT = 3

T = TypeVar("T")


class Source(Struct, frozen=True, kw_only=True):
    """One place that records came from, and up to where."""

    kind: str  # "raw_log": all of it; "sql": a source whose rows are in it
    offsets: Offsets
    records: int  # of this model
    name: str | None = None  # of an SQL source in the policy; and of the last of its rows:
    watermark: str | None = None
    key: str | None = None


class File(Struct, frozen=True, kw_only=True):
    """One object in the store, by its digest."""

    key: str
    sha256: str


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
    sum: str  # of the rows, in hex: with their number and the policy it makes the digest
    layers: list[File]  # the lowest first; they hold every row with its payload's digest
    state: File
    tools: dict[str, str]  # name -> version


class State(Struct, frozen=True, kw_only=True):
    """What a version hands on to its successor besides its layers."""

    rest: Ledger  # epoch, and sides of what no line tells of
    open: list[int]  # lines to look at again
    standings: list[Standing]  # of actors whose share is capped
    erased: int  # records that were erased when it was built
    noted: Noted  # of inputs, when it was built


def manifest_key(dataset_digest: str, manifest_digest: str) -> str:
    """Return the key of a version's manifest.

    >>> manifest_key("sha256:" + "ab" * 32, "sha256:" + "cd" * 32)[:14]
    'datasets/ababa'
    """
    return _key(dataset_digest, "manifest", manifest_digest, "json")


def store_value(objects: Objects, dataset_digest: str, stem: str, value: Struct) -> File:
    """Put one value as JSON below a dataset's folder, named by its own digest."""
    return _store(objects, dataset_digest, stem, "json", canonical(value))


def store_layers(
    objects: Objects, dataset_digest: str, below: Sequence[tuple[File, Layer]], top: Layer
) -> list[File]:
    """Put the layer that a version adds on those of its parent; return the files of all.

    Layers of the parent that are small beside it are merged with it.
    """
    files = [file for file, _ in below]
    layers = [layer for _, layer in below]
    count = falls([*layers, top])
    if count > 1:
        kept = len(layers) + 1 - count
        top = merged([*layers[kept:], top])
        files = files[:kept]
    for layer in cut(top):
        files.append(_store(objects, dataset_digest, "layer", "bin", *layer.to_parts()))
    return files


def load_value(objects: Objects, file: File, type_: type[T]) -> T:
    """Return what `store_value` put. Raises DatasetCorrupt."""
    return msgspec.json.decode(_verified(file, memoryview(objects.get(file.key))), type=type_)


def load_manifest(objects: Objects, dataset: Dataset) -> Manifest:
    """Return a version's manifest, checked against its row. Raises DatasetCorrupt."""
    key = manifest_key(dataset.digest, dataset.manifest)
    found = load_value(objects, File(key=key, sha256=dataset.manifest), Manifest)
    if (found.digest, found.policy_digest) != (dataset.digest, dataset.policy_digest):
        raise _corrupt(key)
    return found


def load_layers(objects: Objects, manifest: Manifest, *, check: bool) -> list[tuple[File, Layer]]:
    """Return a version's layers, mapped where the store can do so.

    `check` reads all of them, to compare their digests. Raises DatasetCorrupt.
    """
    found = []
    for file in manifest.layers:
        data = view(objects, file.key)
        found.append((file, Layer.from_bytes(_verified(file, data) if check else data)))
    return found


def load_history(objects: Objects, manifest: Manifest, *, check: bool = True) -> History:
    """Return a version's lines with what became of each. Raises DatasetCorrupt."""
    layers = load_layers(objects, manifest, check=check)
    return History(manifest.model, [layer for _, layer in layers])


def _store(objects: Objects, dataset_digest: str, stem: str, suffix: str, *parts: Part) -> File:
    own = digest(*parts)
    file = File(key=_key(dataset_digest, stem, own, suffix), sha256=own)
    objects.put(file.key, *parts)
    return file


def _key(dataset_digest: str, stem: str, own: str, suffix: str) -> str:
    return f"datasets/{hexadecimal(dataset_digest)}/{stem}.{hexadecimal(own)}.{suffix}"


def _verified(file: File, data: memoryview) -> memoryview:
    if digest(data) != file.sha256:
        raise _corrupt(file.key)
    return data


def _corrupt(key: str) -> DatasetCorrupt:
    return DatasetCorrupt(
        f"Object {key!r} is not what its digest says: restore it from a backup.", key=key
    )
