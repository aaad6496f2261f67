"""Dataset versions over HTTP: what they hold, how they differ, that they are whole, and exports."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct, structs

from burnish.api.control import Control, View
from burnish.api.holdouts import HoldoutView, spent, view_of
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.datasets import croissant
from burnish.datasets.advice import ADVICE
from burnish.datasets.contents import known
from burnish.datasets.desk import Contradiction, contradictions, named
from burnish.datasets.diff import Diff, compare, summary
from burnish.datasets.manifest import Manifest
from burnish.datasets.model import Dataset, Fate, Reason, Row, Split
from burnish.datasets.proof import Part, prove_files, prove_payloads
from burnish.kernel.digest import canonical
from burnish.kernel.errors import InvalidInput
from burnish.kernel.ids import DatasetId
from burnish.kernel.objects import payload_key

MAX_PAGE: Final = 1000
MAX_DISPUTED: Final = 10_000  # subjects that anybody ever disagreed on, settled ones with them
PART_TIME: Final = timedelta(seconds=2)  # of a proof, between two answers
_PLACE: Final = re.compile(r"(?P<shard>[^:]{1,63}):(?P<offset>\d{1,18})", re.ASCII)

Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class DatasetItem(Dataset, frozen=True, kw_only=True):
    """A dataset version in a list."""

    spent: bool  # whether its holdout is worn


class DatasetView(Dataset, frozen=True, kw_only=True):
    """A dataset version with its holdout and what was made of it."""

    holdout: HoldoutView
    models: list[str]  # model versions that were trained on it
    advice: dict[str, str]  # of each reason for which it left records out, what to do


class RecordPage(Struct, kw_only=True):
    """A page of what became of records, by their place in the raw log."""

    items: list[Fate]
    next: str | None  # for `after`; None: there are no more


class Rebuilt(Struct, kw_only=True):
    """What the raw log gives today for a version's offsets, parent and policy."""

    digest: str
    same: bool
    erased: bool  # records of the model were erased since: it cannot be the same


class Desk(Struct, kw_only=True):
    """What people disagree on, and whose later verdict settles it."""

    items: list[Contradiction]  # by subject
    reviewers: tuple[str, ...]
    cut: bool  # whether there are more


@get("/v1/datasets", sync_to_thread=True, responses=RESPONSES)
def list_datasets(state: State, model: FromQuery[str | None] = None) -> Items[DatasetItem]:
    """List the dataset versions."""
    control: Control = state.control
    with control.views() as view:
        versions = view.datasets.list(model)
        worn = spent(view, versions)
    return Items(
        items=[DatasetItem(**structs.asdict(one), spent=one.id in worn) for one in versions]
    )


@get("/v1/datasets/{dataset_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_dataset(state: State, dataset_id: FromPath[str]) -> DatasetView:
    """Show a dataset version: counts, what was left out, its holdout, and the models made of it."""
    control: Control = state.control
    with control.views() as view:
        dataset = view.datasets.get(DatasetId(dataset_id))
        held = view_of(view, dataset)
        models = trained_on(view, dataset)
    advice = {name: ADVICE[Reason(name)] for name in dataset.left_out}
    return DatasetView(**structs.asdict(dataset), holdout=held, models=models, advice=advice)


@get(
    "/v1/datasets/{dataset_id:str}/manifest",
    sync_to_thread=True,
    media_type="application/json",
    responses={
        **RESPONSES,
        200: ResponseSpec(Manifest, description="`manifest.json`", generate_examples=False),
    },
)
def get_manifest(state: State, dataset_id: FromPath[str]) -> Response[bytes]:
    """Show what a version was built from and by, down to every payload's digest."""
    control: Control = state.control
    manifest = control.datasets.manifest(control.datasets.get(DatasetId(dataset_id)))
    return Response(canonical(manifest), media_type="application/json")


@get("/v1/datasets/{dataset_id:str}/diff", sync_to_thread=True, responses=RESPONSES)
def get_diff(
    state: State,
    dataset_id: FromPath[str],
    base: FromQuery[str | None] = None,
    limit: FromQuery[Limit] = 100,
) -> Diff:
    """Tell what changed since `base`, or since the version's parent, and why."""
    control: Control = state.control
    versions = control.datasets
    dataset = versions.get(DatasetId(dataset_id))
    other = base or dataset.parent
    if other is None:
        raise InvalidInput.of("base", base, f"{dataset.id} has no parent: name another version")
    old = versions.get(DatasetId(other))
    if old.model != dataset.model:
        raise InvalidInput.of("base", base, f"name a version of {dataset.model}")
    changes, unchanged = compare(
        versions.rows(old),
        versions.rows(dataset),
        before=versions.fates(old),
        after=versions.fates(dataset),
        new_epoch=old.epoch != dataset.epoch,
    )
    return summary(old.id, dataset.id, changes, unchanged, limit=limit)


@get("/v1/datasets/{dataset_id:str}/records", sync_to_thread=True, responses=RESPONSES)
def list_records(
    state: State,
    dataset_id: FromPath[str],
    *,
    split: FromQuery[Split | None] = None,
    reason: FromQuery[Reason | None] = None,
    after: FromQuery[str | None] = None,
    limit: FromQuery[Limit] = 100,
) -> RecordPage:
    """List the records that a version was built from: their split, or why they are in none."""
    control: Control = state.control
    dataset = control.datasets.get(DatasetId(dataset_id))
    place = _place(after)
    found: Iterator[Fate] = (
        fate
        for fate in control.datasets.fates(dataset)
        if (split is None or fate.split is split)
        and (reason is None or fate.reason is reason)
        and (place is None or (fate.shard, fate.offset) > place)
    )
    items = list(islice(found, limit))
    more = next(found, None) is not None
    return RecordPage(items=items, next=f"{items[-1].shard}:{items[-1].offset}" if more else None)


@get("/v1/datasets/{dataset_id:str}/proof", sync_to_thread=True, responses=RESPONSES)
def get_proof(
    state: State,
    dataset_id: FromPath[str],
    first: FromQuery[Annotated[int, Meta(ge=0)]] = 0,
) -> Part:
    """Read a part of a version's payloads against their digests; the first part, its files too."""
    control: Control = state.control
    versions = control.datasets
    dataset = versions.get(DatasetId(dataset_id))
    findings = []
    if first == 0:
        findings = prove_files(
            dataset,
            {
                "manifest": lambda: versions.manifest(dataset),
                "fates": lambda: sum(1 for _ in versions.fates(dataset)),
            },
            lambda: list(versions.rows(dataset)),
        )
        if findings:
            return Part(checked=0, payloads=0, next=None, findings=findings)

    def erased(digests: list[str]) -> set[str]:
        with control.views() as view:
            return view.tombstones.payloads(digests)

    began = control.clock()
    return prove_payloads(
        control.objects,
        sorted({row.payload_sha256 for row in versions.rows(dataset)}),
        first,
        erased=erased,
        enough=lambda: control.clock() - began > PART_TIME,
    )


@get("/v1/datasets/{dataset_id:str}/rebuilt", sync_to_thread=True, responses=RESPONSES)
def get_rebuilt(state: State, dataset_id: FromPath[str]) -> Rebuilt:
    """Build a version again from the raw log, store nothing, and compare the digests."""
    control: Control = state.control
    dataset = control.datasets.get(DatasetId(dataset_id))
    with control.views() as view:
        policy = view.models.policy(dataset.policy_digest)
        erased = view.tombstones.since(dataset.model, dataset.created_at)
    digest = control.datasets.rebuilt(policy, dataset)
    return Rebuilt(digest=digest, same=digest == dataset.digest, erased=erased)


@get(
    "/v1/datasets/{dataset_id:str}/rows",
    sync_to_thread=True,
    media_type="application/json",
    responses=RESPONSES,
)
def get_rows(
    state: State, dataset_id: FromPath[str], *, holdout: FromQuery[bool] = False
) -> Response[bytes]:
    """Hand out the examples as an export holds them: `rows.json`."""
    control: Control = state.control
    dataset = control.datasets.get(DatasetId(dataset_id))
    return Response(
        croissant.array(_rows(control, dataset, holdout=holdout)), media_type="application/json"
    )


@get("/v1/datasets/{dataset_id:str}/croissant", sync_to_thread=True, responses=RESPONSES)
def get_croissant(
    state: State, dataset_id: FromPath[str], *, holdout: FromQuery[bool] = False
) -> dict[str, Any]:
    """Describe an export as MLCommons Croissant: `croissant.json`."""
    control: Control = state.control
    dataset = control.datasets.get(DatasetId(dataset_id))
    with control.views() as view:
        policy = view.models.policy(dataset.policy_digest)
    rows = list(_rows(control, dataset, holdout=holdout))
    total = sum(sum(labels.values()) for labels in dataset.counts.values())
    return croissant.describe(
        dataset,
        policy,
        rows=croissant.array(rows),
        manifest=canonical(control.datasets.manifest(dataset)),
        withheld=total - len(rows),
    )


@get("/v1/payloads/{sha256:str}", sync_to_thread=True, responses=RESPONSES)
def get_payload(state: State, sha256: FromPath[str]) -> Response[bytes]:
    """Hand out an input by its digest."""
    control: Control = state.control
    try:
        key = payload_key(sha256)
    except ValueError as error:
        raise InvalidInput.of("sha256", sha256, "write sha256: and 64 hex digits") from error
    return Response(control.objects.get(key), media_type="application/octet-stream")


@get("/v1/models/{name:str}/contradictions", sync_to_thread=True, responses=RESPONSES)
def list_contradictions(state: State, name: FromPath[str], limit: FromQuery[Limit] = 100) -> Desk:
    """List what people disagree on: it trains nobody until they agree or a reviewer has spoken."""
    control: Control = state.control
    with control.views() as view:
        policy = view.models.get(name).policy
        verdicts = view.feedback.disputed(name, limit=MAX_DISPUTED)
        predictions = view.predictions.lookup(named(verdicts))
        contents = known(view.payloads, policy, verdicts, predictions)
    found = contradictions(verdicts, policy, predictions, contents)
    return Desk(items=found[:limit], reviewers=policy.dataset.reviewers, cut=len(found) > limit)


def trained_on(view: View, dataset: Dataset) -> list[str]:
    """Return the model versions that were trained on a dataset version, newest first."""
    return [
        version.version
        for version in view.versions.of_model(dataset.model)
        if version.dataset == dataset.id
    ]


def _rows(control: Control, dataset: Dataset, *, holdout: bool) -> Iterator[Row]:
    rows = control.datasets.rows(dataset)
    return (row for row in rows if holdout or row.split is not Split.HOLDOUT)


def _place(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    match = _PLACE.fullmatch(after)
    if match is None:
        raise InvalidInput.of("after", after, "hand in the `next` of an earlier answer")
    return match["shard"], int(match["offset"])
