"""Replays in tests: a small policy, the stored decisions, and what a replay makes of them."""

from typing import Any

from burnish.kernel.policy import ModelPolicy
from burnish.triggers.model import DecisionEntry
from burnish.triggers.travel import Travel, travel
from support.ledger import NOON
from support.samples import policy as laundry
from support.world import World

SQL = "sql.laundry.tasks"  # the shard of the source below
SOURCE = {"database": "shop", "query": "SELECT", "watermark": "id", "key": "id"}


def small_policy(*, near_duplicate: str = "off", **trigger: Any) -> ModelPolicy:
    small: dict[str, Any] = {"min_corrections": 4, "min_days": 0.01, "urgent_corrections": 9}
    return laundry(
        trigger=small | trigger,
        dataset={"holdout_source": "gold", "near_duplicate": near_duplicate},
        payload={"allow": ["photos.example"]},
        sources={"tasks": SOURCE},
    )


def travelled(world: World, proposed: ModelPolicy | None) -> Travel:
    with world.view() as view:
        return travel(view, "laundry", proposed, since=NOON)


def stored(world: World) -> list[DecisionEntry]:
    with world.view() as view:
        return list(view.decisions.history("laundry", NOON))
