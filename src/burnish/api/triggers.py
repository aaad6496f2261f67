"""Triggers over HTTP: where each model stands, why, who paused it; and replays of the past."""

from datetime import timedelta
from typing import Final

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from burnish.api.auth import Asked, actor_of
from burnish.api.control import Control
from burnish.api.models import Reason
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.errors import InvalidInput
from burnish.kernel.ids import RunId
from burnish.kernel.policy import parse_policy
from burnish.pipeline.model import Run
from burnish.pipeline.service import RunActive
from burnish.triggers.model import DecisionEntry, HeldByWindow, Hold, Pause, ReasonMissing
from burnish.triggers.service import Explanation, explain, pause, resume
from burnish.triggers.travel import Travel, travel

_LONGEST_DAYS: Final = 36_500


class Intervention(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which triggers somebody pauses or resumes, and why."""

    reason: str
    triggers: list[str] = []  # by name; none: all that can be paused


class Proposal(Struct, kw_only=True, forbid_unknown_fields=True):
    """A policy to replay the past under."""

    policy: str | None = None  # its file, TOML; none: each decision under the policy that held
    days: float = 90  # that far back


@get("/v1/triggers", sync_to_thread=True, responses=RESPONSES)
def list_triggers(state: State) -> Items[Explanation]:
    """List where every model stands: what it would decide now, in a sentence."""
    control: Control = state.control
    with control.views() as view:
        models = view.models.list()
        now = control.clock()
        return Items(items=[explain(view, model.policy, now=now) for model in models])


@get("/v1/models/{name:str}/trigger", sync_to_thread=True, responses=RESPONSES)
def get_trigger(state: State, name: FromPath[str]) -> Explanation:
    """Explain why a model retrains now, or does not, and what that rests on."""
    control: Control = state.control
    with control.views() as view:
        return explain(view, view.models.get(name).policy, now=control.clock())


@get("/v1/models/{name:str}/decisions", sync_to_thread=True, responses=RESPONSES)
def list_decisions(
    state: State, name: FromPath[str], limit: FromQuery[int] = 50
) -> Items[DecisionEntry]:
    """List the trigger's newest decisions, each with its reason and what it rests on."""
    control: Control = state.control
    with control.views() as view:
        view.models.get(name)
        return Items(items=view.decisions.list(name, limit=limit))


@post(
    "/v1/models/{name:str}/trigger/pause",
    status_code=200,
    sync_to_thread=True,
    responses=RESPONSES,
)
def pause_trigger(
    request: Asked, state: State, name: FromPath[str], data: JSONBody[Intervention]
) -> Items[Pause]:
    """Pause triggers of a model by name, or all; what is paused is returned."""
    control: Control = state.control
    _check_model(control, name)
    actor = actor_of(request)
    unit = control.units(actor)
    paused = pause(unit, name, data.triggers, actor=actor, reason=data.reason, now=control.clock())
    return Items(items=list(paused))


@post(
    "/v1/models/{name:str}/trigger/resume",
    status_code=200,
    sync_to_thread=True,
    responses=RESPONSES,
)
def resume_trigger(
    request: Asked, state: State, name: FromPath[str], data: JSONBody[Intervention]
) -> Items[Pause]:
    """Resume triggers of a model by name, or all; what stays paused is returned."""
    control: Control = state.control
    _check_model(control, name)
    actor = actor_of(request)
    paused = resume(control.units(actor), name, data.triggers, actor=actor, reason=data.reason)
    return Items(items=list(paused))


@post(
    "/v1/models/{name:str}/trigger/run",
    status_code=202,
    sync_to_thread=True,
    responses=RESPONSES,
)
def run_trigger(
    request: Asked, state: State, name: FromPath[str], data: JSONBody[Reason]
) -> DecisionEntry:
    """Ask for a run: now, or, while one is under way, as soon as it has ended.

    One that waits trains on the newest records when it begins. A later request takes its place.
    """
    return _asked(request, state.control, name, data, waits=True)


@post("/v1/models/{name:str}/runs", status_code=202, sync_to_thread=True, responses=RESPONSES)
def start_run(request: Asked, state: State, name: FromPath[str], data: JSONBody[Reason]) -> Run:
    """Start a run now, or refuse to."""
    control: Control = state.control
    decision = _asked(request, control, name, data, waits=False)
    if decision.run is None:
        if decision.hold is Hold.WINDOW:
            raise HeldByWindow(
                f"{decision.reason}: `burnish trigger run` waits until then.", model=name
            )
        raise RunActive(
            f"Model {name!r} has a run under way; it trains one at a time."
            " `burnish trigger run` waits for it to end.",
            model=name,
        )
    with control.views() as view:
        return view.runs.get(RunId(decision.run))


@post(
    "/v1/models/{name:str}/trigger/replay",
    status_code=200,
    sync_to_thread=True,
    responses=RESPONSES,
)
def replay_trigger(state: State, name: FromPath[str], data: JSONBody[Proposal]) -> Travel:
    """Say what a policy would have decided in the last days; nothing is saved."""
    control: Control = state.control
    if not 0 < data.days <= _LONGEST_DAYS:
        raise InvalidInput.of("days", data.days, f"give more than 0, up to {_LONGEST_DAYS}")
    proposed = None if data.policy is None else parse_policy(data.policy)
    if proposed is not None and proposed.name != name:
        raise InvalidInput.of("name", proposed.name, f"the path names {name!r}: make them agree")
    with control.views() as view:
        view.models.get(name)
        return travel(view, name, proposed, since=control.clock() - timedelta(days=data.days))


def _check_model(control: Control, name: str) -> None:
    with control.views() as view:
        view.models.get(name)


def _asked(
    request: Asked, control: Control, name: str, why: Reason, *, waits: bool
) -> DecisionEntry:
    if not why.reason.strip():
        raise ReasonMissing.of("reason", why.reason, "say why, for whoever wonders later")
    return control.triggers.ask(name, actor_of(request), why.reason, waits=waits)
