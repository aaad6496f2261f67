"""Columns while they grow, line by line: the part of a build that has to be quick in Python."""

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from burnish.datasets.lines import (
    CODE,
    CONTENT_BYTES,
    Lines,
    Said,
    Segment,
    blank,
    key_bytes,
    pack,
)
from burnish.datasets.model import Reason
from burnish.datasets.turns import Actor, microseconds
from burnish.feedback.model import RawRecord
from burnish.feedback.plain import Plain
from burnish.feedback.verdict import Verdict

OTHER_LABEL: Final = 65_535  # what no label of the policy has
DRAW_BYTES: Final = 8
_NO_CONTENT: Final = bytes(CONTENT_BYTES)
_UNREADABLE: Final = CODE[Reason.UNREADABLE]


class Columns:
    """Everything that is read of lines, by what it is."""

    def __init__(self) -> None:
        self.people: dict[Actor, int] = {}
        self.found, self.flags, self.guess = bytearray(), bytearray(), bytearray()
        self.labels = array("H")
        self.draws: list[bytes] = []  # of holdout, then of validation
        self._offsets, self._happened, self._lengths = array("q"), array("q"), array("q")
        self._actors = array("I")
        self._subjects: list[bytes] = []  # keys
        self._identities: list[bytes] = []
        self._contents: list[bytes] = []
        self._blob: list[bytes] = []

    def add(
        self, raw: RawRecord, said: Plain | Verdict, payload: str | None, content: bytes
    ) -> None:
        """Add what a line says."""
        people, actor = self.people, said.actor
        number = people.get(actor)
        if number is None:
            number = people[actor] = len(people)
        packed = pack(
            Said(
                said.source,
                said.id,
                said.subject_id,
                said.final,
                said.corrected,
                said.occurred_at,
                raw.received_at,
                said.predicted,
                said.prediction_id,
                said.selection,
                payload,
                actor,
            )
        )
        self._offsets.append(raw.offset)
        self._subjects.append(key_bytes(said.subject_id))
        self._identities.append(key_bytes(f"{said.source}\0{said.id}"))
        self._actors.append(number)
        self._happened.append(microseconds(said.occurred_at))
        self._contents.append(content)
        self._lengths.append(len(packed))
        self._blob.append(packed)

    def add_unreadable(self, shard: str, raw: RawRecord) -> None:
        """Add a line that says nothing, under keys that no other line has."""
        packed, key = (
            blank(raw.source, raw.id, raw.received_at),
            key_bytes(f"\0{shard}\0{raw.offset}"),
        )
        self._offsets.append(raw.offset)
        self._subjects.append(key)
        self._identities.append(key)
        self._actors.append(self.people.setdefault(None, len(self.people)))
        self._happened.append(0)
        self._contents.append(_NO_CONTENT)
        self._lengths.append(len(packed))
        self._blob.append(packed)
        self.found.append(_UNREADABLE)
        self.flags.append(0)
        self.guess.append(0)
        self.labels.append(OTHER_LABEL)
        self.draws.append(bytes(2 * DRAW_BYTES))

    def lines(self, shard: str) -> Lines:
        """Return the lines."""
        found = _array(self.found, np.uint8)
        count = len(found)
        return Lines(
            segments=(Segment(shard=shard, count=count),) if count else (),
            offset=_array(self._offsets, np.int64),
            content=_array(b"".join(self._contents), np.uint8).reshape(count, CONTENT_BYTES),
            found=found,
            outcome=np.where(found == _UNREADABLE, found, 0).astype(np.uint8),
            sides=np.zeros(count, np.uint8),
            flags=_array(self.flags, np.uint8),
            ends=np.cumsum(_array(self._lengths, np.int64), dtype=np.int64),
            blob=_array(b"".join(self._blob), np.uint8),
        )

    def beside(self) -> dict[str, NDArray[Any]]:
        """Return what is not of the lines themselves, by the names that `Read` has for it."""
        draws = _array(b"".join(self.draws), ">u8").reshape(len(self.draws), 2)
        units = draws / (1 << 8 * DRAW_BYTES)
        return {
            "subjects": _array(b"".join(self._subjects), np.uint64),
            "identities": _array(b"".join(self._identities), np.uint64),
            "labels": _array(self.labels, np.uint16),
            "holdout": units[:, 0],
            "validation": units[:, 1],
            "actors": _array(self._actors, np.uint32),
            "happened": _array(self._happened, np.int64),
            "guess": _array(self.guess, np.uint8),
        }


def _array(data: "bytes | bytearray | array[int]", dtype: DTypeLike) -> NDArray[Any]:
    return np.frombuffer(data, dtype)
