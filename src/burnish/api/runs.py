"""Runs, datasets and evaluations, over HTTP."""

from datetime import datetime
from typing import Protocol

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody

from burnish.api.auth import Asked, actor_of
from burnish.api.conditions import etag, expected
from burnish.api.control import Control, View
from burnish.api.models import IfMatch, Reason
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.evaluation.model import Evaluation
from burnish.kernel.audit import Actor
from burnish.kernel.ids import RunId
from burnish.pipeline import service
from burnish.pipeline.model import Run, StepRecord
from burnish.pipeline.override import override
from burnish.pipeline.ports import PipelineUnit

_WHAT = "the run's revision"


class RunView(Run, frozen=True, kw_only=True):
    """A run with its steps."""

    steps: list[StepRecord]


@get("/v1/runs", sync_to_thread=True, responses=RESPONSES)
def list_runs(
    state: State, model: FromQuery[str | None] = None, limit: FromQuery[int] = 50
) -> Items[RunView]:
    """List the newest runs."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=[_seen(view, run) for run in view.runs.newest(model, limit=limit)])


@get("/v1/runs/{run_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_run(state: State, run_id: FromPath[str]) -> Response[RunView]:
    """Show a run; its ETag is its revision."""
    control: Control = state.control
    with control.views() as view:
        run = _seen(view, view.runs.get(RunId(run_id)))
    return Response(run, headers={"ETag": etag(run.revision)})


@post("/v1/runs/{run_id:str}/approve", status_code=200, sync_to_thread=True, responses=RESPONSES)
def approve_run(
    request: Asked,
    run_id: FromPath[str],
    data: JSONBody[Reason],
    if_match: IfMatch = None,
) -> Run:
    """Let a candidate that passed its gates into production."""
    return _decided(service.approve, request, run_id, data, if_match)


@post("/v1/runs/{run_id:str}/reject", status_code=200, sync_to_thread=True, responses=RESPONSES)
def reject_run(
    request: Asked,
    run_id: FromPath[str],
    data: JSONBody[Reason],
    if_match: IfMatch = None,
) -> Run:
    """Turn a candidate down."""
    return _decided(service.reject, request, run_id, data, if_match)


@post("/v1/runs/{run_id:str}/cancel", status_code=200, sync_to_thread=True, responses=RESPONSES)
def cancel_run(
    request: Asked,
    run_id: FromPath[str],
    data: JSONBody[Reason],
    if_match: IfMatch = None,
) -> Run:
    """End a run that has not begun to release, and its training job."""
    return _decided(service.cancel, request, run_id, data, if_match)


@post("/v1/runs/{run_id:str}/override", status_code=202, sync_to_thread=True, responses=RESPONSES)
def override_run(
    request: Asked,
    state: State,
    run_id: FromPath[str],
    data: JSONBody[Reason],
    if_match: IfMatch = None,
) -> Response[Run]:
    """Take a candidate to release in spite of its gates, by a new run, which is returned."""
    control: Control = state.control
    actor = actor_of(request)
    started = override(
        control.units(actor),
        RunId(run_id),
        new=RunId(control.ids()),
        expected=expected(if_match, _WHAT),
        actor=actor,
        reason=data.reason,
        now=control.clock(),
    )
    return Response(started, headers={"ETag": etag(started.revision)})


@get("/v1/evaluations/{evaluation_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_evaluation(state: State, evaluation_id: FromPath[str]) -> Evaluation:
    """Show the report on a candidate."""
    control: Control = state.control
    with control.views() as view:
        return view.evaluations.get(evaluation_id)


class _Decision(Protocol):
    """A use case by which a person decides on a run that they have seen."""

    def __call__(
        self,
        unit: PipelineUnit,
        id_: RunId,
        *,
        expected: int,
        actor: Actor,
        reason: str,
        now: datetime,
    ) -> Run:
        """Decide. Raises Stale, IllegalTransition."""
        ...


def _decided(
    decide: _Decision, request: Asked, run_id: str, why: Reason, if_match: str | None
) -> Run:
    control: Control = request.app.state.control
    actor = actor_of(request)
    return decide(
        control.units(actor),
        RunId(run_id),
        expected=expected(if_match, _WHAT),
        actor=actor,
        reason=why.reason,
        now=control.clock(),
    )


def _seen(view: View, run: Run) -> RunView:
    return RunView(**msgspec.structs.asdict(run), steps=view.runs.steps(run.id))
