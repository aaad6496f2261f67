"""Models and their policies, over HTTP."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get, put
from litestar.datastructures import State
from litestar.params import FromPath, HeaderParameter
from msgspec import Struct

from burnish.api.auth import Asked, actor_of
from burnish.api.conditions import etag, expected
from burnish.api.control import Control, View
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.errors import InvalidInput
from burnish.kernel.policy import ModelPolicy, parse_policy, policy_of
from burnish.models.model import Model
from burnish.models.service import apply_policy
from burnish.pipeline.model import RunState
from burnish.triggers.model import DecisionEntry
from burnish.triggers.service import explain

IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", required=False)]


class ActiveRelease(Struct, kw_only=True):
    """What serving follows."""

    release: str
    generation: int
    model_version: str
    deployed_at: datetime


class Corrections(Struct, kw_only=True):
    """How far it is to the next training."""

    effective: int
    needed: int


class RunBrief(Struct, kw_only=True):
    """The run that is under way."""

    id: str
    state: RunState


class ModelView(Struct, kw_only=True):
    """A model as operators see it."""

    name: FromPath[str]
    kind: str
    labels: tuple[str, ...]
    policy: ModelPolicy
    policy_digest: str
    revision: int
    active: ActiveRelease | None
    corrections: Corrections
    run: RunBrief | None
    last_decision: DecisionEntry | None


class Reason(Struct, kw_only=True, forbid_unknown_fields=True):
    """Why somebody asks for a change."""

    reason: str


@get("/v1/models", sync_to_thread=True, responses=RESPONSES)
def list_models(state: State) -> Items[ModelView]:
    """List the models."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=[_seen(view, control, model) for model in view.models.list()])


@get("/v1/models/{name:str}", sync_to_thread=True, responses=RESPONSES)
def get_model(state: State, name: FromPath[str]) -> Response[ModelView]:
    """Show a model; its ETag is its revision."""
    control: Control = state.control
    with control.views() as view:
        model = view.models.get(name)
        return Response(_seen(view, control, model), headers={"ETag": etag(model.revision)})


@put("/v1/models/{name:str}", responses=RESPONSES)
async def put_model(
    request: Asked, state: State, name: FromPath[str], if_match: IfMatch = None
) -> Response[ModelView]:
    """Apply a policy, as TOML or JSON. An existing model wants If-Match with its revision."""
    control: Control = state.control
    policy = _policy(await request.body(), request.content_type[0])
    if policy.name != name:
        raise InvalidInput.of("name", policy.name, f"the path names {name!r}: make them agree")
    wanted = None if if_match is None else expected(if_match, "the model's revision")
    actor = actor_of(request)
    model = apply_policy(control.units(actor), policy, expected=wanted, actor=actor)
    control.directory.publish()
    with control.views() as view:
        return Response(_seen(view, control, model), headers={"ETag": etag(model.revision)})


def _policy(body: bytes, content_type: str) -> ModelPolicy:
    if content_type == "application/json":
        try:
            return policy_of(msgspec.json.decode(body, type=dict[str, Any]))
        except msgspec.DecodeError as error:
            raise InvalidInput.of("body", body[:80], f"send a policy as JSON: {error}") from error
    try:
        return parse_policy(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidInput.of("body", body[:80], "send the policy file as UTF-8") from error


def _seen(view: View, control: Control, model: Model) -> ModelView:
    release = view.releases.active(model.name)
    run = view.runs.active(model.name)
    standing = explain(view, model.policy, now=control.clock())
    return ModelView(
        name=model.name,
        kind=model.policy.kind,
        labels=model.policy.labels,
        policy=model.policy,
        policy_digest=model.policy_digest,
        revision=model.revision,
        active=None
        if release is None or release.generation is None or release.deployed_at is None
        else ActiveRelease(
            release=release.id,
            generation=release.generation,
            model_version=release.model_version,
            deployed_at=release.deployed_at,
        ),
        corrections=Corrections(
            effective=standing.decision.corrections,
            needed=model.policy.trigger.min_corrections,
        ),
        run=None if run is None else RunBrief(id=run.id, state=run.state),
        last_decision=view.decisions.latest(model.name),
    )
