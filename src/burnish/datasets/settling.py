"""Settling: a version made by `assembly` of all of its lines at once, and stored as growth would.

It costs as the version is large, and knows every rule. Growth is for rules under which a line can
only change by lines that it shares something with; settling is for all others.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

import numpy as np

from burnish.datasets.accounting import Change, Totals, beyond, count_new, effective
from burnish.datasets.assembly import Assembled
from burnish.datasets.growth import Grown
from burnish.datasets.layers import layer
from burnish.datasets.lines import CODE
from burnish.datasets.looking import World, is_open
from burnish.datasets.model import Reason
from burnish.datasets.reading import Read
from burnish.datasets.sides import carried
from burnish.feedback.erasure import Identity
from burnish.feedback.verdict import Offsets, Place, Verdict
from burnish.kernel.policy import ModelPolicy

# Makes a version of verdicts, whose inputs are known, as `assembly.assembled` does.
Assemble = Callable[[list[Verdict], dict[Place, str | Reason]], Assembled]

_ERASED: Final = CODE[Reason.ERASED]


def settled(
    read: Read,
    policy: ModelPolicy,
    world: World,
    assemble: Assemble,
    *,
    erased: Collection[Identity] = frozenset(),
    parent: Offsets,
) -> Grown:
    """Return what a build from nothing adds, by assembly. Raises what that raises.

    Args:
        read: every line up to the version's offsets.
        policy: the model's.
        world: predictions, and which payloads are missing.
        assemble: the rules, with the ledger before.
        erased: records that a person had taken out: nothing of what they said is kept.
        parent: offsets of the version before.
    """
    lines = read.lines
    spoken = np.nonzero(lines.outcome != CODE[Reason.UNREADABLE])[0]
    verdicts = lines.verdicts(policy.name, spoken)
    judged = world.judged(verdicts, policy)
    inputs = {one.place: what.input for one, what in zip(verdicts, judged, strict=True)}
    built = assemble(verdicts, inputs)
    codes = {
        (fate.shard, fate.offset): CODE[fate.split or fate.reason or ""] for fate in built.fates
    }
    outcome, found, contents = lines.outcome.copy(), lines.found.copy(), lines.content.copy()
    outcome[spoken] = [codes[verdict.place] for verdict in verdicts]
    silent = np.nonzero(outcome == CODE[Reason.UNREADABLE])[0] if erased else spoken[:0]
    for line in silent.tolist():
        one = lines.said(line)
        if (one.source, one.id) in erased:
            outcome[line] = _ERASED
    for line, what in zip(spoken.tolist(), judged, strict=True):
        what.note(line, found, contents)
    lines = replace(lines, outcome=outcome, found=found, content=contents)
    taken = np.nonzero(outcome == _ERASED)[0]
    subjects = read.subjects.copy()
    subjects[taken] = read.identities[taken]
    lines = lines.blanked(taken)
    sides, rest = carried(lines, built.ledger)
    change = Change(read.sum)
    count_new(change, read, lines, policy)
    since = effective(outcome, lines.flags) & beyond(lines, parent)
    return Grown(
        layer=layer(
            0,
            replace(lines, sides=sides),
            subjects=subjects,
            identities=read.identities,
        ),
        totals=change.applied(Totals.none(policy.labels), len(lines)),
        open=np.nonzero(is_open(found, contents) & (outcome == found))[0],
        rest=rest,
        since=int(since.sum()),
    )
