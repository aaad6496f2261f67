"""Releases over HTTP: their history, the active one, and the way back."""

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody

from burnish.api.auth import Asked, actor_of
from burnish.api.conditions import etag, expected
from burnish.api.control import Control
from burnish.api.models import IfMatch, Reason
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.errors import NotFound
from burnish.kernel.ids import ReleaseId
from burnish.releases import service
from burnish.releases.model import Release


class NoActiveRelease(NotFound):
    """The model has never been released."""

    code = "release.none"


@get("/v1/releases", sync_to_thread=True, responses=RESPONSES)
def list_releases(state: State, model: FromQuery[str | None] = None) -> Items[Release]:
    """List the releases."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=view.releases.history(model))


@get("/v1/releases/{release_id:str}", sync_to_thread=True, responses=RESPONSES)
def get_release(state: State, release_id: FromPath[str]) -> Release:
    """Show a release."""
    control: Control = state.control
    with control.views() as view:
        return view.releases.get(ReleaseId(release_id))


@get("/v1/models/{name:str}/release", sync_to_thread=True, responses=RESPONSES)
def get_active_release(state: State, name: FromPath[str]) -> Response[Release]:
    """Show the release that serving follows; its ETag is its generation."""
    control: Control = state.control
    with control.views() as view:
        release = view.releases.active(name)
    if release is None or release.generation is None:
        raise NoActiveRelease(f"Model {name!r} has never been released.", model=name)
    return Response(release, headers={"ETag": etag(release.generation)})


@post("/v1/models/{name:str}/rollback", status_code=200, sync_to_thread=True, responses=RESPONSES)
def post_rollback(
    request: Asked,
    state: State,
    name: FromPath[str],
    data: JSONBody[Reason],
    if_match: IfMatch = None,
) -> Response[Release]:
    """Make the previous release active again; the one rolled back from never serves again."""
    control: Control = state.control
    actor = actor_of(request)
    release = service.rollback(
        control.units(actor),
        name,
        expected=expected(if_match, "the active release's generation"),
        actor=actor,
        reason=data.reason,
    )
    return Response(release, headers={"ETag": etag(release.generation or 0)})
