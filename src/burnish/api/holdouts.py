"""Holdouts over HTTP: how worn they are, and an operator's word that one is."""

from collections.abc import Iterable

from litestar import post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from burnish.api.auth import Asked, actor_of
from burnish.api.control import Control, View
from burnish.api.models import Reason
from burnish.api.problems import RESPONSES
from burnish.datasets.looks import Rotation, budget
from burnish.datasets.model import Dataset
from burnish.datasets.rotation import rotate
from burnish.kernel.ids import DatasetId


class HoldoutView(Struct, kw_only=True):
    """A version's holdout, and how worn it is."""

    epoch: int
    examples: int
    source: str  # if set, its owner replaces it; else a new epoch does
    looks: int
    allowed: int  # 0: any number
    spent: bool
    rotation: Rotation | None  # who said so, if a person did


@post(
    "/v1/models/{name:str}/holdout/rotate",
    status_code=200,
    sync_to_thread=True,
    responses=RESPONSES,
)
def rotate_holdout(
    request: Asked, state: State, name: FromPath[str], data: JSONBody[Reason]
) -> Rotation:
    """Say that a model's present holdout is worn; of one epoch the first word stands.

    The next build that can begins a new epoch; until then newcomers are reserved for it.
    """
    control: Control = state.control
    actor = actor_of(request)
    return rotate(control.units(actor), name, actor=actor, reason=data.reason, now=control.clock())


def view_of(view: View, dataset: Dataset) -> HoldoutView:
    """Return a version's holdout, as worn as it is under the policy that the version has."""
    policy = view.models.policy(dataset.policy_digest).dataset
    worn = budget(view.looks, dataset, policy)
    return HoldoutView(
        epoch=worn.epoch,
        examples=dataset.held,
        source=policy.holdout_source,
        looks=worn.looks,
        allowed=worn.allowed,
        spent=worn.spent,
        rotation=worn.rotation,
    )


def spent(view: View, datasets: Iterable[Dataset]) -> set[DatasetId]:
    """Return the versions whose holdout is worn; those that share one are asked about once."""
    alike: dict[tuple[str, int, str], list[Dataset]] = {}
    for dataset in datasets:
        key = (dataset.model, dataset.epoch, dataset.policy_digest)
        alike.setdefault(key, []).append(dataset)
    return {one.id for same in alike.values() if view_of(view, same[0]).spent for one in same}
