"""Shares: no one actor makes more than a part of the corrections that count.

A cap on each actor's count must hold for the counts that remain, so it is the greatest one that
does: with two hundred corrections of one person, ten of others and a share of 0.3, four of the two
hundred count. Where there are too few actors to keep to the share at all, an equal part is theirs:
a lone actor is not capped.

Which of an actor's corrections count is a function of the set: those that happened first, as
`turns` puts them in order. What counted once goes on counting while the others' corrections grow.
The holdout is drawn afterwards, so that one actor does not fill it either.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from burnish.datasets.model import Example, Reason
from burnish.datasets.turns import Actor, turn_of
from burnish.feedback.verdict import Place

_ROUNDING = 1e-9  # a share of 0.3 of 10 is 3, whatever the nearest floats say

Actors = Mapping[Actor, int]  # effective corrections of each


def allowance(counts: Actors, share: float) -> int:
    """Return how many corrections of one actor may count, at most.

    >>> allowance({"kim": 90, "lee": 4, "ann": 3, "bob": 3}, 0.3), allowance({"kim": 90}, 0.3)
    (4, 90)
    """
    total = sum(counts.values())
    while total:
        cap = max(int(total * share + _ROUNDING), total // len(counts))
        kept = sum(min(count, cap) for count in counts.values())
        if kept == total:
            return cap
        total = kept
    return 0


def counted(examples: Iterable[Example], exempt: Collection[str]) -> list[Example]:
    """Return those examples of which shares are made; arguments as of `over_share`."""
    return [one for one in examples if one.verdict.corrected and one.subject not in exempt]


def over_share(
    examples: Iterable[Example], share: float, *, exempt: Collection[str] = frozenset()
) -> dict[Place, Reason]:
    """Return the corrections that one actor makes beyond their share of all.

    Args:
        examples: what curation kept.
        share: the greatest that one actor may have, of 1.
        exempt: subjects of an exam: they teach nothing, so they neither count nor are counted.
    """
    made: defaultdict[Actor, list[Example]] = defaultdict(list)
    for example in counted(examples, exempt):
        made[example.verdict.actor].append(example)
    most = allowance(Counter({actor: len(mine) for actor, mine in made.items()}), share)
    over: dict[Place, Reason] = {}
    for mine in made.values():
        mine.sort(key=lambda example: turn_of(example.verdict))
        over.update((example.verdict.place, Reason.ACTOR_SHARE) for example in mine[most:])
    return over
