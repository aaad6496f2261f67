"""Erasure over HTTP: a person's right to have what was said of them taken out."""

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromQuery, JSONBody
from msgspec import structs

from burnish.api.auth import Asked, actor_of
from burnish.api.control import Control, View
from burnish.api.datasets import trained_on
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.datasets.erasing import Request, erase, tombstones, touched
from burnish.feedback.erasure import Erasure, Scope
from burnish.feedback.journey import FeedbackUnknown
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.feedback.verdict import Verdict
from burnish.kernel.errors import InvalidInput


class Wish(Scope, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records are to go, and why."""

    reason: str
    dry_run: bool = False  # say what would happen, and do nothing


@post("/v1/erasures", status_code=200, sync_to_thread=True, responses=RESPONSES)
def erase_records(request: Asked, state: State, data: JSONBody[Wish]) -> Erasure:
    """Take records out for good: builds leave them out at once, their bytes go soon after.

    The answer names the dataset versions that hold them and the models trained on those; these stay
    as they are. A request that was carried out is listed until its bytes are gone, and after.
    """
    control: Control = state.control
    data.check()
    if not data.reason.strip():
        raise InvalidInput.of("reason", data.reason, "say why; the audit log keeps it")
    scope = Scope(subject=data.subject, model=data.model, source=data.source, id=data.id)
    actor = actor_of(request)
    project(control.raw_log, lambda: control.units(actor), record_of)
    wish = Request(id=control.ids(), actor=actor, reason=data.reason, at=control.clock())
    with control.views() as view:
        verdicts = view.feedback.in_scope(scope)
        if not verdicts:
            asked = ", ".join(f"{k} {v!r}" for k, v in structs.asdict(scope).items() if v)
            raise FeedbackUnknown(
                f"The raw log holds no record with {asked}: check the spelling; what was accepted"
                " in the last minute may still be on its way there."
            )
        datasets, models = _lineage(control, view, verdicts)
        policies = {name: view.models.get(name).policy for name in {v.model for v in verdicts}}
        named = {said.prediction_id for said in verdicts if said.prediction_id is not None}
        placed = tombstones(wish, verdicts, view.predictions.lookup(named), policies, view.payloads)
    if data.dry_run:
        return Erasure(
            id="",
            at=wish.at,
            actor=actor.name,
            reason=wish.reason,
            records=len(placed),
            datasets=tuple(datasets),
            models=tuple(models),
        )
    return erase(control.units(actor), wish, placed, datasets=datasets, models=models)


@get("/v1/erasures", sync_to_thread=True, responses=RESPONSES)
def list_erasures(state: State, limit: FromQuery[int] = 50) -> Items[Erasure]:
    """List the newest requests to erase, and how far they are."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=view.tombstones.newest(limit=limit))


def _lineage(control: Control, view: View, verdicts: list[Verdict]) -> tuple[list[str], list[str]]:
    """Return the dataset versions that hold one of the records, and the models made of those."""
    versions = [
        version
        for model in sorted({verdict.model for verdict in verdicts})
        for version in view.datasets.list(model)
    ]
    held = set(touched(control.objects, versions, verdicts))
    datasets = [version for version in versions if version.id in held]
    models = [
        f"{dataset.model} {version}"
        for dataset in datasets
        for version in trained_on(view, dataset)
    ]
    return [dataset.id for dataset in datasets], models
