"""Corrections over HTTP, as control knows them: the newest ones, and what became of each."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import unquote

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct, field

from burnish.api.auth import Asked
from burnish.api.control import Control, View
from burnish.api.problems import RESPONSES
from burnish.datasets.model import Dataset, Reason, Split
from burnish.datasets.versions import find_fate
from burnish.feedback.journey import Received, trace
from burnish.feedback.parse import record_of
from burnish.feedback.quarantine import Entry
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.errors import InvalidInput, NotFound
from burnish.kernel.ids import DatasetId

MAX_PAGE: Final = 1000
MAX_MODELS: Final = 20  # of a journey: each takes some 20 ms to look up
JOURNEY: Final = "/v1/feedback/{id}/journey"
_ROUTED: Final = "/v1/feedback/{rest}"
_PATH: Final = re.compile(r"/v1/feedback/(?P<id>[^/?]+)/journey", re.ASCII)
_CURSOR: Final = re.compile(r"(?P<shard>[a-z0-9-]+):(?P<offset>\d{1,18})", re.ASCII)


class Stage(StrEnum):
    """How far a record has come."""

    QUARANTINED = "quarantined"  # refused; the reason stands beside
    RECEIVED = "received"  # durable in ingest's spool
    PERSISTED = "persisted"  # in the raw log, but no dataset was built since
    IN_DATASET = "in_dataset"
    LEFT_OUT = "left_out"  # the newest dataset has read it, and has a reason not to hold it
    TRAINED = "trained"  # a model has learnt from it
    ERASED = "erased"  # taken out at a person's request


class InDataset(Struct, kw_only=True):
    """What one dataset version made of the record: its split, or why it is in none."""

    dataset: str
    split: Split | None
    reason: Reason | None


class InModel(Struct, kw_only=True):
    """A model version that was trained on the record, and what became of it."""

    model_version: str
    dataset: str
    split: Split
    releases: list[str]  # newest first, each as "<id> <state>"


class Gone(Struct, kw_only=True):
    """The request by which the record was erased."""

    erasure: str
    at: datetime


class Journey(Struct, kw_only=True):
    """What became of one correction."""

    source: str
    id: str
    stage: Stage
    received: Received | None
    datasets: list[InDataset]  # the first version that read it, and the newest if it is another
    quarantined: list[Entry]  # refused attempts, newest first
    models: list[InModel] = field(default_factory=list)  # newest first
    erased: Gone | None = None


class CorrectionPage(Struct, kw_only=True):
    """Some corrections, in the order of their receipt."""

    items: list[Verdict]
    next: str  # hand it in as `after` for what comes later


@get("/v1/corrections", sync_to_thread=True, responses=RESPONSES)
def list_corrections(
    state: State,
    model: FromQuery[str | None] = None,
    after: FromQuery[str | None] = None,
    limit: FromQuery[Annotated[int, Meta(ge=0, le=MAX_PAGE)]] = 50,
) -> CorrectionPage:
    """List the newest corrections in the raw log, or with `after` those that came later."""
    control: Control = state.control
    with control.views() as view:
        current = view.feedback.offsets()  # before the look: what comes meanwhile is listed next
        if after is None:
            place, through = current, True
            items = view.feedback.newest(model=model, limit=limit)
        else:
            place = _offsets(after)
            items = view.feedback.after(place, model=model, limit=limit)
            through = len(items) < limit
    for one in items:  # a shard is projected in the order of its offsets
        place[one.shard] = max(place.get(one.shard, 0), one.offset + 1)
    if through:
        place = {shard: max(offset, place.get(shard, 0)) for shard, offset in current.items()}
    return CorrectionPage(items=items, next=_cursor(place))


# An id may hold anything, slashes too: it is read from the path as it was sent.
@get("/v1/feedback/{rest:path}", sync_to_thread=True, responses=RESPONSES)
def get_journey(
    request: Asked, state: State, rest: FromPath[str], source: FromQuery[str]
) -> Journey:
    """Tell what became of one correction: persisted, in which datasets or why not, which models."""
    control: Control = state.control
    raw: bytes = request.scope.get("raw_path", b"")
    match = _PATH.fullmatch(raw.decode("latin-1").partition("?")[0])
    if match is None:
        raise NotFound.of("path", f"/v1/feedback{rest}")
    id_ = unquote(match["id"])
    with control.views() as view:
        tombstone = view.tombstones.find(source, id_)
        if tombstone is not None:
            return Journey(
                source=source,
                id=id_,
                stage=Stage.ERASED,
                received=None,
                datasets=[],
                quarantined=[],
                erased=Gone(erasure=tombstone.erasure, at=tombstone.at),
            )
        traced = trace(
            view.feedback,
            view.quarantine,
            control.raw_log,
            control.front,
            parse=record_of,
            source=source,
            id_=id_,
        )
        read = _versions(view, traced.received)
        versions = [read[-1], read[0]] if len(read) > 1 else read
        models = _models(control, view, read, traced.received)
    datasets = [_fate(control, version, traced.received) for version in versions if traced.received]
    return Journey(
        source=source,
        id=id_,
        stage=Stage.TRAINED if models else _stage(traced.received, datasets),
        received=traced.received,
        datasets=datasets,
        quarantined=traced.quarantined,
        models=models,
    )


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the API's description with the journey's path as it is, for readers of routes."""
    paths = {JOURNEY if path == _ROUTED else path: item for path, item in schema["paths"].items()}
    for parameter in paths[JOURNEY]["get"]["parameters"]:
        if parameter["name"] == "rest":
            parameter["name"] = "id"
    return schema | {"paths": paths}


def _versions(view: View, received: Received | None) -> list[Dataset]:
    """Return the versions that have read the record, newest first."""
    if received is None or received.model is None:
        return []
    return [
        version
        for version in view.datasets.list(received.model)
        if version.offsets.get(received.shard, 0) > received.offset
    ]


def _models(
    control: Control, view: View, read: list[Dataset], received: Received | None
) -> list[InModel]:
    """Return the newest models that were trained on versions which hold the record."""
    if received is None or received.model is None:
        return []
    datasets = {version.id: version for version in read}
    history = view.releases.history(received.model)
    made = [one for one in view.versions.of_model(received.model) if one.dataset in datasets]
    found = []
    for version in made[:MAX_MODELS]:
        fate = _fate(control, datasets[DatasetId(version.dataset)], received)
        if fate.split in {Split.TRAIN, Split.VALIDATION}:
            releases = [one for one in history if one.model_version == version.version]
            found.append(
                InModel(
                    model_version=version.version,
                    dataset=version.dataset,
                    split=fate.split,
                    releases=[f"{one.id} {one.state}" for one in releases],
                )
            )
    return found


def _fate(control: Control, version: Dataset, received: Received) -> InDataset:
    fate = find_fate(control.objects, version, received.shard, received.offset)
    return InDataset(
        dataset=version.id,
        split=fate.split if fate else None,
        reason=fate.reason if fate else None,
    )


def _stage(received: Received | None, datasets: list[InDataset]) -> Stage:
    if received is None:
        return Stage.QUARANTINED
    if not received.persisted:
        return Stage.RECEIVED
    if not datasets:
        return Stage.PERSISTED
    return Stage.IN_DATASET if datasets[-1].split is not None else Stage.LEFT_OUT


def _cursor(offsets: Offsets) -> str:
    return ",".join(f"{shard}:{offset}" for shard, offset in sorted(offsets.items()))


def _offsets(cursor: str) -> Offsets:
    matches = [_CURSOR.fullmatch(part) for part in cursor.split(",") if part]
    if None in matches:
        raise InvalidInput.of("after", cursor, "hand in the `next` of an earlier answer")
    return {match["shard"]: int(match["offset"]) for match in matches if match}
