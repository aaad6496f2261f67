"""Compaction: layers of like size become one, so that a stack stays low and a build stays cheap."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from burnish.datasets.layers import INDEXES, STATE, Index, Layer, Patches, State
from burnish.datasets.lines import Lines, Numbers, joined
from burnish.datasets.turns import Turns

LARGEST: Final = 1 << 20  # lines in a layer: some 200 MB; what is larger is never rewritten
RATIO: Final = 2  # a layer joins the one below it unless that has more than twice its entries


def cut(layer: Layer) -> list[Layer]:
    """Return a layer, which may be of any size, as layers that are not too large."""
    if len(layer.lines) <= LARGEST:
        return [layer]
    parts = []
    for start in range(0, len(layer.lines), LARGEST):
        stop = min(start + LARGEST, len(layer.lines))
        first, end = layer.first + start, layer.first + stop
        last = stop == len(layer.lines)
        parts.append(
            Layer(
                first=first,
                lines=layer.lines.part(start, stop),
                patches=layer.patches if last else Patches.none(),
                turns=layer.turns.between(first, end),
                **{
                    name: _between(getattr(layer, name), first if start else 0, end)
                    for name in INDEXES
                },
            )
        )
    return parts


def falls(layers: Sequence[Layer]) -> int:
    """Return how many layers, from the top of the stack, are to become one."""
    merged, lines = layers[-1].entries, len(layers[-1].lines)
    count = 1
    for below in reversed(layers[:-1]):
        lines += len(below.lines)
        if below.entries > RATIO * merged or lines > LARGEST:
            break
        merged += below.entries
        count += 1
    return count


def merged(layers: Sequence[Layer]) -> Layer:
    """Return neighbours, from the lowest to the highest, as one layer that says the same."""
    first = layers[0].first
    lines = joined([layer.lines for layer in layers])
    numbers = np.arange(first, first + len(lines))
    lines = lines.spelled(_judging_others(lines, first, layers[1:]))
    state = State(flags=lines.flags, **{name: getattr(lines, name) for name in STATE})
    patches = layers[0].patches
    for layer in layers[1:]:
        state.take(layer.patches, numbers)
        patches = _newest(patches, _below(layer.patches, first))
    return Layer(
        first=first,
        lines=replace(lines, **{name: getattr(state, name) for name in STATE}),
        patches=patches,
        turns=Turns.joined([layer.turns for layer in layers]),
        **{
            name: Index.of(
                np.concatenate([getattr(layer, name).keys for layer in layers]),
                np.concatenate([getattr(layer, name).lines for layer in layers]),
            )
            for name in INDEXES
        },
    )


def _between(index: Index, first: int, end: int) -> Index:
    return index[(index.lines >= first) & (index.lines < end)]


def _judging_others(lines: Lines, first: int, layers: Sequence[Layer]) -> Numbers:
    """Return those lines, by place, that patches say judge another content than they name."""
    others = [np.zeros(0, np.int64)]
    for layer in layers:
        mine = layer.patches.line >= first
        places = layer.patches.line[mine] - first
        named = lines.content[places]
        other = (named != layer.patches.content[mine]).any(axis=1) & named.any(axis=1)
        others.append(places[other])
    return np.unique(np.concatenate(others))


def _below(patches: Patches, first: int) -> Patches:
    count = int(np.searchsorted(patches.line, first))
    return Patches(**{name: getattr(patches, name)[:count] for name in ("line", *STATE)})


def _newest(old: Patches, new: Patches) -> Patches:
    kept = ~np.isin(old.line, new.line)
    order = np.argsort(np.concatenate([old.line[kept], new.line]), kind="stable")
    return Patches(
        **{
            name: np.concatenate([getattr(old, name)[kept], getattr(new, name)])[order]
            for name in ("line", *STATE)
        }
    )
