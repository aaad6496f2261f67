"""Layers: the immutable files that versions are stacked of, and the history that a stack is.

Each build adds one layer: the lines that it read, with indexes by subject, content and identity,
and *patches*, what it changed of lines in layers below. The next build starts from the stack, finds
in it what its own lines touch, and reads nothing else, so that its cost is that of what is new.

Layers of like size are merged, as in a log-structured merge tree, so that a stack of n lines has
some log n layers and each line was rewritten about as often. Merging changes no line's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from burnish.datasets.lines import (
    CONTENT_BYTES,
    NAMES,
    Bytes,
    Keys,
    Lines,
    Mask,
    Numbers,
    content_keys,
)
from burnish.datasets.sieves import Needles, passing, sieve_of
from burnish.datasets.sorting import ordered, twins
from burnish.datasets.stored import from_bytes, to_parts
from burnish.datasets.turns import Queue, Turns
from burnish.feedback.verdict import Verdict
from burnish.kernel.digest import Part


@dataclass(frozen=True, kw_only=True)
class Index:
    """Lines by a 64-bit key of theirs, sorted by it; several may share one."""

    keys: Keys
    lines: Numbers
    sieve: Keys | None = None  # of the keys, once it is stored

    @classmethod
    def of(cls, keys: Keys, lines: Numbers) -> "Index":
        """Return the index of lines, each by its key."""
        order = ordered(keys)
        return cls(keys=keys[order], lines=lines[order])

    def matches(self, wanted: Needles) -> tuple[Numbers, Numbers]:
        """Return every line that has a key that is wanted, and before it the places of the keys."""
        some = np.arange(len(wanted)) if self.sieve is None else passing(self.sieve, wanted)
        if not len(some) or not len(self.keys):
            return some[:0], some[:0]
        keys = wanted.keys[some]
        low = np.searchsorted(self.keys, keys)
        hit = self.keys[np.minimum(low, len(self.keys) - 1)] == keys
        low = low[hit]
        counts = np.searchsorted(self.keys, keys[hit], "right") - low
        starts = np.repeat(low - np.cumsum(counts) + counts, counts)
        return np.repeat(some[hit], counts), self.lines[starts + np.arange(len(starts))]

    def __getitem__(self, entries: Mask) -> "Index":
        return Index(keys=self.keys[entries], lines=self.lines[entries])

    def repeated(self) -> "Index":
        """Return those entries whose key another line has too."""
        return self[twins(self.keys)]


@dataclass(frozen=True, kw_only=True)
class Patches:
    """What became of lines in layers below, sorted by line: it replaces what they say there."""

    line: Numbers
    outcome: Bytes
    sides: Bytes
    found: Bytes
    content: Bytes

    @classmethod
    def none(cls) -> "Patches":
        """Return no patches."""
        zero = np.zeros(0, np.uint8)
        return cls(
            line=np.zeros(0, np.int64),
            outcome=zero,
            sides=zero,
            found=zero,
            content=np.zeros((0, CONTENT_BYTES), np.uint8),
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """What is known of some lines, in the order in which they were asked for."""

    outcome: Bytes
    sides: Bytes
    found: Bytes
    content: Bytes
    flags: Bytes  # which no patch changes

    def __getitem__(self, places: Mask) -> "State":
        return State(**{name: getattr(self, name)[places] for name in (*STATE, "flags")})

    def take(self, patches: Patches, lines: Numbers) -> None:
        """Take over, in place, what patches say of the lines, which are the first of these."""
        if not len(patches.line) or not len(lines):
            return
        at = np.minimum(np.searchsorted(patches.line, lines), len(patches.line) - 1)
        hits = np.nonzero(patches.line[at] == lines)[0]
        for name in STATE if len(hits) else ():
            getattr(self, name)[hits] = getattr(patches, name)[at[hits]]


STATE: Final = ("outcome", "sides", "found", "content")
INDEXES: Final = ("subjects", "contents", "identities")
_TURNS: Final = ("happened", "identities", "lines")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Some lines that follow each other, and patches of lines below them."""

    first: int  # number of the first line in the history
    lines: Lines
    subjects: Index  # of its own lines
    contents: Index  # of its own lines, and of those whose content it was the first to know
    identities: Index  # of its own lines
    turns: Turns  # of its own lines that correct, where a share of these is capped
    patches: Patches

    def shared(self, index: str, among: Mask) -> Index:
        """Return those entries of some of its lines that share a key; lines are counted from 0."""
        found = getattr(self, index).repeated()
        found = found[among[found.lines - self.first]].repeated()
        return Index(keys=found.keys, lines=found.lines - self.first)

    @property
    def end(self) -> int:
        """The number after its last line's."""
        return self.first + len(self.lines)

    @property
    def entries(self) -> int:
        """How much it holds, by which layers are merged."""
        return len(self.lines) + len(self.patches.line)

    def to_parts(self) -> list[Part]:
        """Return the parts of the object that it is stored as."""
        arrays = self.lines.arrays()
        for name in INDEXES:
            index = getattr(self, name)
            arrays[f"{name}.keys"], arrays[f"{name}.lines"] = index.keys, index.lines
            arrays[f"{name}.words"] = sieve_of(index.keys)
        for name in ("line", *STATE):
            arrays[f"patches.{name}"] = getattr(self.patches, name)
        arrays["turns.ends"] = self.turns.ends
        for name in _TURNS:
            arrays[f"turns.{name}"] = getattr(self.turns.queue, name)
        header = {
            "first": self.first,
            "segments": self.lines.counts(),
            "names": NAMES,
            "people": self.turns.people,
        }
        return to_parts(header, arrays)

    @classmethod
    def from_bytes(cls, data: memoryview) -> "Layer":
        """Return the layer in an object; its arrays are views of the bytes."""
        header, arrays = from_bytes(data)
        _recode(header["names"], arrays)
        return cls(
            first=header["first"],
            lines=Lines.of(header["segments"], arrays),
            patches=Patches(**{name: arrays[f"patches.{name}"] for name in ("line", *STATE)}),
            turns=Turns(
                people=tuple(header["people"]),
                ends=arrays["turns.ends"],
                queue=Queue(**{name: arrays[f"turns.{name}"] for name in _TURNS}),
            ),
            **{
                name: Index(
                    keys=arrays[f"{name}.keys"],
                    lines=arrays[f"{name}.lines"],
                    sieve=arrays.get(f"{name}.words"),
                )
                for name in INDEXES
            },
        )


def _recode(names: Sequence[str], arrays: dict[str, Any]) -> None:
    """Translate codes that were written when there were other outcomes."""
    if tuple(names) == NAMES:
        return
    table = np.array([NAMES.index(name) for name in names], np.uint8)
    for name in ("outcome", "found", "patches.outcome", "patches.found"):
        arrays[name] = table[arrays[name]]


def layer(
    first: int, lines: Lines, *, subjects: Keys, identities: Keys, turns: Turns | None = None
) -> Layer:
    """Return the layer of lines whose keys are known; it changes nothing below."""
    numbers = np.arange(first, first + len(lines))
    with_content = lines.found == 0
    return Layer(
        first=first,
        lines=lines,
        subjects=Index.of(subjects, numbers),
        identities=Index.of(identities, numbers),
        contents=Index.of(content_keys(lines.content[with_content]), numbers[with_content]),
        turns=Turns.none() if turns is None else turns,
        patches=Patches.none(),
    )


def patched(layer: Layer, patches: Patches, late: Numbers, contents: Keys) -> Layer:
    """Return a new layer with what it changes below.

    Args:
        layer: that changes nothing yet.
        patches: the changes.
        late: lines, of those patched, whose content was not known before.
        contents: the keys of these contents.
    """
    index = Index.of(
        np.concatenate([layer.contents.keys, contents]),
        np.concatenate([layer.contents.lines, late]),
    )
    return replace(layer, patches=patches, contents=index if len(late) else layer.contents)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Lines of a history that share a key with others."""

    keys: Numbers  # of each other line: the number of its key
    places: Numbers  # the number of the key by which each line was found
    lines: Numbers  # which these are; one may be found twice, by a content that it used to have

    def any(self) -> Mask:
        """Tell of each other line whether the history has its key."""
        found = np.zeros(len(self.keys), bool)
        found[self.places] = True
        known: Mask = found[self.keys]
        return known

    def of(self, others: Numbers) -> Numbers:
        """Return the lines that share a key with some of the others."""
        wanted = np.zeros(len(self.keys), bool)
        wanted[self.keys[others]] = True
        return self.lines[wanted[self.places]]


class History:
    """A stack of layers, as one long list of lines with their newest state."""

    def __init__(self, model: str, layers: Sequence[Layer]) -> None:
        self.model = model
        self.layers = tuple(layers)

    def __len__(self) -> int:
        return self.layers[-1].end if self.layers else 0

    def on_top(self, layer: Layer) -> "History":
        """Return the history with one more layer."""
        return History(self.model, (*self.layers, layer))

    def matches(self, index: str, wanted: Keys) -> Matches:
        """Return the lines that an index, by its name, has under the keys of some other lines."""
        none = np.zeros(0, np.int64)
        if not self.layers or not len(wanted):
            return Matches(keys=np.zeros(len(wanted), np.int64), places=none, lines=none)
        # In their order, or each key would be looked for in another part of memory.
        keys, numbers = np.unique(wanted, return_inverse=True)
        needles = Needles(keys)
        found = [getattr(layer, index).matches(needles) for layer in self.layers]
        places, lines = (np.concatenate(part) for part in zip(*found, strict=True))
        return Matches(keys=numbers, places=places, lines=lines)

    def find(self, index: str, wanted: Keys) -> Numbers:
        """Return the lines that an index, by its name, has under any of these keys."""
        return np.unique(self.matches(index, wanted).lines)

    def state(self, lines: Numbers) -> State:
        """Return the newest state of lines, in sorted order of their numbers."""
        state = State(
            outcome=np.zeros(len(lines), np.uint8),
            sides=np.zeros(len(lines), np.uint8),
            found=np.zeros(len(lines), np.uint8),
            content=np.zeros((len(lines), CONTENT_BYTES), np.uint8),
            flags=np.zeros(len(lines), np.uint8),
        )
        for layer_ in self.layers:
            low, high = np.searchsorted(lines, [layer_.first, layer_.end])
            if low < high:
                own = lines[low:high] - layer_.first
                for name in (*STATE, "flags"):
                    getattr(state, name)[low:high] = getattr(layer_.lines, name)[own]
            state.take(layer_.patches, lines[:low])
        return state

    def verdicts(self, lines: Numbers) -> list[Verdict]:
        """Return what lines say, in sorted order of their numbers."""
        said: list[Verdict] = []
        for layer_ in self.layers:
            low, high = np.searchsorted(lines, [layer_.first, layer_.end])
            if low < high:
                said += layer_.lines.verdicts(self.model, lines[low:high] - layer_.first)
        return said

    def by_place(self) -> Numbers:
        """Return the numbers of all lines, sorted by shard and offset."""
        segments = [segment for layer_ in self.layers for segment in layer_.lines.segments]
        names = sorted({segment.shard for segment in segments})
        shards = np.repeat(
            np.array([names.index(segment.shard) for segment in segments], np.int64),
            [segment.count for segment in segments],
        )
        offsets = [layer_.lines.offset for layer_ in self.layers]
        return np.lexsort((np.concatenate(offsets), shards)) if offsets else shards

    def place(self, shard: str, offset: int) -> int | None:
        """Return the number of the line at a place, None if it is not of this model."""
        for layer_ in self.layers:
            found = layer_.lines.place(shard, offset)
            if found is not None:
                return layer_.first + found
        return None
