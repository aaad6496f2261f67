"""Training jobs over HTTP: operators look and cancel, trainers call back."""

from litestar import MediaType, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from burnish.api.auth import CALLBACK, Asked, actor_of, attempt_of
from burnish.api.control import Control
from burnish.api.models import Reason
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.ids import JobId
from burnish.training import service
from burnish.training.model import Done, Heartbeat, Job, JobState, TrainerEvent


class Noted(Struct, kw_only=True):
    """What a callback is answered: the state of the job after it."""

    state: JobState


@get("/v1/jobs", sync_to_thread=True, responses=RESPONSES)
def list_jobs(
    state: State, model: FromQuery[str | None] = None, limit: FromQuery[int] = 50
) -> Items[Job]:
    """List the newest training jobs."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=view.jobs.newest(model, limit=limit))


@get("/v1/jobs/{job_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_job(state: State, job_id: FromPath[str]) -> Job:
    """Show a training job."""
    control: Control = state.control
    with control.views() as view:
        return view.jobs.get(JobId(job_id))


@get(
    "/v1/jobs/{job_id:str}/log", media_type=MediaType.TEXT, sync_to_thread=True, responses=RESPONSES
)
def get_job_log(state: State, job_id: FromPath[str]) -> str:
    """Show what the job's current attempt has printed."""
    control: Control = state.control
    with control.views() as view:
        job = view.jobs.get(JobId(job_id))
    return control.job_log(job)


@post("/v1/jobs/{job_id:str}/cancel", status_code=200, sync_to_thread=True, responses=RESPONSES)
def cancel_job(request: Asked, state: State, job_id: FromPath[str], data: JSONBody[Reason]) -> Job:
    """End a training job for good; its run fails."""
    control: Control = state.control
    actor = actor_of(request)
    unit = control.units(actor)
    return service.cancel(unit, JobId(job_id), actor=actor, reason=data.reason, now=control.clock())


@post(
    "/v1/jobs/{job_id:str}/heartbeat",
    status_code=200,
    opt=CALLBACK,
    sync_to_thread=True,
    responses=RESPONSES,
)
def post_heartbeat(
    request: Asked, state: State, job_id: FromPath[str], data: JSONBody[Heartbeat]
) -> Noted:
    """Take a trainer's sign of life."""
    control: Control = state.control
    attempt = attempt_of(request, job_id)
    unit = control.units(actor_of(request))
    return Noted(state=service.heartbeat(unit, JobId(job_id), attempt, data, now=control.clock()))


@post(
    "/v1/jobs/{job_id:str}/event",
    status_code=200,
    opt=CALLBACK,
    sync_to_thread=True,
    responses=RESPONSES,
)
def post_event(
    request: Asked, state: State, job_id: FromPath[str], data: JSONBody[TrainerEvent]
) -> Noted:
    """Take what a trainer wants known."""
    control: Control = state.control
    attempt = attempt_of(request, job_id)
    unit = control.units(actor_of(request))
    return Noted(state=service.note(unit, JobId(job_id), attempt, data, now=control.clock()))


@post(
    "/v1/jobs/{job_id:str}/done",
    status_code=200,
    opt=CALLBACK,
    sync_to_thread=True,
    responses=RESPONSES,
)
def post_done(request: Asked, state: State, job_id: FromPath[str], data: JSONBody[Done]) -> Noted:
    """Take a trainer's last word."""
    control: Control = state.control
    attempt = attempt_of(request, job_id)
    unit = control.units(actor_of(request))
    return Noted(state=service.done(unit, JobId(job_id), attempt, data, now=control.clock()))
