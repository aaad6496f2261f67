"""Columns of lines that are read: the part of a build that has to be quick in Python.

It goes over all lines once for each column, which costs half as much as going over all columns for
each line.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from itertools import compress
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import DTypeLike, NDArray

from burnish.datasets.curation import OWN_STORE
from burnish.datasets.digests import RowForm, summed
from burnish.datasets.lines import (
    ASK,
    CODE,
    CONTENT_BYTES,
    CORRECTED,
    EXAM,
    FETCHED,
    UNCERTAIN,
    Bytes,
    Lines,
    Said,
    Segment,
    blank,
    key_bytes,
    pack,
)
from burnish.datasets.model import Reason, Split
from burnish.datasets.packed import Packed
from burnish.datasets.turns import Actor, microseconds
from burnish.feedback.model import RawRecord, Selection
from burnish.feedback.plain import Plain
from burnish.feedback.verdict import Verdict
from burnish.kernel.clock import EPOCH
from burnish.kernel.digest import PREFIX, canonical

OTHER_LABEL: Final = 65_535  # what no label of the policy has
_DRAWS: Final = 1 << 64  # how many a drawing has
_UNREADABLE: Final = CODE[Reason.UNREADABLE]
_SPLITS: Final = (Split.TRAIN, Split.VALIDATION)
_CODES: Final = np.array([CODE[split] for split in _SPLITS], np.uint8)
_URI: Final = OWN_STORE + PREFIX
_URI_LENGTH: Final = len(_URI) + 2 * CONTENT_BYTES

_NO_CONTENT: Final = bytes(CONTENT_BYTES).hex()

SILENT: Final = Verdict(
    source="",
    id="",
    shard="",
    offset=0,
    model="",
    subject_id="",
    final="",
    corrected=False,
    occurred_at=EPOCH,
    received_at=EPOCH,
)

Words = Sequence[Plain | Verdict]  # what lines say; SILENT where that is unreadable


class Asked(Struct, frozen=True, kw_only=True):
    """What a build must know of each line, besides what it says."""

    model: str
    labels: tuple[str, ...]
    validation: float
    epoch: int
    exam: str = ""  # the policy's `holdout_source`


class Columns(Struct, frozen=True, kw_only=True):
    """Everything that is read of lines, by what it is."""

    lines: Lines
    beside: dict[str, NDArray[Any]]  # what is not of the lines themselves, by its name in `Read`
    people: tuple[Actor, ...]
    sum: int  # of the rows that `guess` tells of


def columns(
    shard: str,
    raws: Sequence[RawRecord],
    words: Words,
    moments: Sequence[datetime],
    asked: Asked,
) -> Columns:
    """Return the columns of lines.

    Args:
        shard: of all of them.
        raws: the lines.
        words: what they say of the model that is asked of.
        moments: of when they say it.
        asked: what to read of each.
    """
    silent = np.array([number for number, said in enumerate(words) if said is SILENT], np.int64)
    payloads, hexes, found = _contents(words)
    numbers = {label: number for number, label in enumerate(asked.labels)}
    labels = np.array([numbers.get(said.final, OTHER_LABEL) for said in words], np.uint16)
    subjects = [canonical(said.subject_id) for said in words]
    validation = _draws(asked, "validation", subjects)
    rows = (found == 0) & (labels != OTHER_LABEL)
    split = (validation < asked.validation).astype(np.uint8)
    people: dict[Actor, int] = {}
    actors = [people.setdefault(said.actor, len(people)) for said in words]
    beside: dict[str, NDArray[Any]] = {
        "subjects": _keys([said.subject_id for said in words]),
        "identities": _keys([f"{said.source}\0{said.id}" for said in words]),
        "labels": labels,
        "holdout": _draws(asked, "holdout", subjects),
        "validation": validation,
        "actors": np.array(actors, np.uint32),
        "happened": np.array(list(map(microseconds, moments)), np.int64),
        "guess": np.where(rows, _CODES[split], 0).astype(np.uint8),
    }
    # An unreadable line stands under keys that no other line has.
    own = _keys([f"\0{shard}\0{raws[number].offset}" for number in silent.tolist()])
    beside["subjects"][silent] = beside["identities"][silent] = own
    labels[silent] = OTHER_LABEL
    beside["holdout"][silent] = beside["validation"][silent] = 0
    found[silent] = _UNREADABLE
    forms = [[RowForm(label, split) for split in _SPLITS] for label in asked.labels]
    told = zip(labels.tolist(), split.tolist(), subjects, hexes, strict=True)
    lines = Lines(
        segments=(Segment(shard=shard, count=len(words)),) if words else (),
        offset=np.array([raw.offset for raw in raws], np.int64),
        content=_array(bytes.fromhex("".join(hexes)), np.uint8).reshape(-1, CONTENT_BYTES),
        found=found,
        outcome=np.where(found == _UNREADABLE, found, 0).astype(np.uint8),
        sides=np.zeros(len(words), np.uint8),
        flags=_flags(words, payloads, asked.exam),
        packed=Packed.of(_packed(raws, words, moments, payloads)),
    )
    return Columns(
        lines=lines,
        beside=beside,
        people=tuple(people),
        sum=summed(
            forms[label][split].text(subject, content)
            for label, split, subject, content in compress(told, rows.tolist())
        ),
    )


def _contents(words: Words) -> tuple[list[str | None], list[str], Bytes]:
    """Return each payload as it is packed, the content in hex, and what is known of it."""
    payloads = [said.payload for said in words]
    names = [
        payload[len(_URI) :]
        if payload is not None and len(payload) == _URI_LENGTH and payload.startswith(_URI)
        else ""
        for payload in payloads
    ]
    if not _is_hex("".join(names)):
        names = [name if _is_hex(name) else "" for name in names]
    # What its prediction says may forbid it still.
    found = [
        0 if name and said.prediction_id is None else ASK
        for name, said in zip(names, words, strict=True)
    ]
    return (
        ["" if name else payload for name, payload in zip(names, payloads, strict=True)],
        [name or _NO_CONTENT for name in names],
        np.array(found, np.uint8),
    )


def _is_hex(name: str) -> bool:
    """Tell whether a text is hex digits in lower case, two for each byte."""
    try:
        return bytes.fromhex(name).hex() == name  # several times as fast as to look at each digit
    except ValueError:
        return False


def _packed(
    raws: Sequence[RawRecord],
    words: Words,
    moments: Sequence[datetime],
    payloads: Sequence[str | None],
) -> list[bytes]:
    return [
        blank(raw.source, raw.id, raw.received_at)
        if said is SILENT
        else pack(
            Said(
                said.source,
                said.id,
                said.subject_id,
                said.final,
                said.corrected,
                moment,
                raw.received_at,
                said.predicted,
                said.prediction_id,
                said.selection,
                payload,
                said.actor,
            )
        )
        for raw, said, moment, payload in zip(raws, words, moments, payloads, strict=True)
    ]


def _flags(words: Words, payloads: Sequence[str | None], exam: str) -> Bytes:
    masks = {
        CORRECTED: [said.corrected for said in words],
        UNCERTAIN: [said.selection is Selection.UNCERTAINTY for said in words],
        EXAM: [said.source == exam and said is not SILENT for said in words],
        FETCHED: [bool(payload) for payload in payloads],
    }
    flags = np.zeros(len(words), np.uint8)
    for bit, mask in masks.items():
        flags |= np.array(mask, np.uint8) * np.uint8(bit)
    return flags


def _draws(asked: Asked, purpose: str, subjects: Sequence[bytes]) -> NDArray[np.float64]:
    """Return what `splits.fraction` does, of subjects in JSON."""
    head = canonical([asked.model, asked.epoch, purpose])[:-1] + b","
    digests = b"".join([sha256(head + subject + b"]").digest() for subject in subjects])
    return _array(digests, ">u8")[::4] / _DRAWS


def _keys(names: Sequence[str]) -> NDArray[np.uint64]:
    return _array(b"".join(map(key_bytes, names)), np.uint64).copy()


def _array(data: bytes, dtype: DTypeLike) -> NDArray[Any]:
    return np.frombuffer(data, dtype)
