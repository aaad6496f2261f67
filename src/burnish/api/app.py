"""The control plane's application: every route, one guard, one shape of error."""

from typing import Any

from litestar import Litestar, MediaType, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from prometheus_client import generate_latest

from burnish import __version__
from burnish.api import (
    datasets,
    erasures,
    feedback,
    files,
    holdouts,
    jobs,
    live,
    models,
    problems,
    quarantine,
    releases,
    runs,
    serving,
    trail,
    triggers,
)
from burnish.api.auth import OPEN, Asked, guard
from burnish.api.control import Control
from burnish.kernel.errors import BurnishError

ROUTES = (
    models.list_models,
    models.get_model,
    models.put_model,
    triggers.list_triggers,
    triggers.get_trigger,
    triggers.list_decisions,
    triggers.pause_trigger,
    triggers.resume_trigger,
    triggers.run_trigger,
    triggers.replay_trigger,
    triggers.start_run,
    live.get_live,
    runs.list_runs,
    runs.get_run,
    runs.approve_run,
    runs.reject_run,
    runs.cancel_run,
    runs.override_run,
    datasets.list_datasets,
    datasets.get_dataset,
    datasets.get_manifest,
    datasets.get_diff,
    datasets.list_records,
    datasets.get_proof,
    datasets.get_rebuilt,
    datasets.get_rows,
    datasets.get_croissant,
    datasets.list_contradictions,
    holdouts.rotate_holdout,
    runs.get_evaluation,
    jobs.list_jobs,
    jobs.get_job,
    jobs.get_job_log,
    jobs.cancel_job,
    jobs.post_heartbeat,
    jobs.post_event,
    jobs.post_done,
    releases.list_releases,
    releases.get_release,
    releases.get_active_release,
    releases.post_rollback,
    serving.get_serving,
    serving.put_replica,
    serving.list_replicas,
    files.post_payload,
    datasets.get_payload,
    feedback.list_corrections,
    feedback.get_journey,
    erasures.erase_records,
    erasures.list_erasures,
    quarantine.list_quarantine,
    quarantine.count_quarantine,
    quarantine.get_quarantined,
    quarantine.replay_quarantine,
    trail.stream_events,
    trail.list_audit,
)
UNLIMITED = (files.get_object, files.put_object)  # an artifact may be larger than any other body


@get("/v1/openapi.json", opt=OPEN, include_in_schema=False, sync_to_thread=False)
def openapi(request: Asked) -> dict[str, Any]:
    """Describe this API, in OpenAPI 3.1."""
    return feedback.described(request.app.openapi_schema.to_schema())


@get("/healthz", opt=OPEN, include_in_schema=False, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process lives."""
    return {"status": "ok"}


@get("/readyz", opt=OPEN, include_in_schema=False, sync_to_thread=True)
def readyz(state: State) -> dict[str, str]:
    """Say that the database answers."""
    control: Control = state.control
    with control.views() as view:
        view.models.list()
    return {"status": "ok"}


@get("/metrics", opt=OPEN, media_type=MediaType.TEXT, include_in_schema=False, sync_to_thread=True)
def metrics(state: State) -> bytes:
    """Show the metrics of this process."""
    control: Control = state.control
    return generate_latest(control.registry)


def build(control: Control) -> Litestar:
    """Return the application."""
    return Litestar(
        route_handlers=[
            healthz,
            readyz,
            metrics,
            openapi,
            # In routers: the framework registers two methods of one path twice if they come singly,
            # and a handler that runs in a thread breaks by that.
            Router("", route_handlers=list(ROUTES)),
            Router(
                "", route_handlers=list(UNLIMITED), request_max_body_size=None, tags=["objects"]
            ),
        ],
        guards=[guard],
        state=State({"control": control}),
        exception_handlers={
            BurnishError: problems.on_burnish_error,
            HTTPException: problems.on_http_error,
            Exception: problems.on_unforeseen,
        },
        openapi_config=OpenAPIConfig(
            title="Burnish control plane",
            version=__version__,
            path="/v1/openapi",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            openapi_router=Router("/v1/openapi", route_handlers=[], opt=OPEN),
        ),
        request_max_body_size=control.max_payload_bytes,
        logging_config=None,
    )
