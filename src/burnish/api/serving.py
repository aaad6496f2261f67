"""What serving processes ask and say: which releases to load and follow, and what they do."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, put
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from burnish.api.auth import REPLICA, Asked
from burnish.api.control import Control
from burnish.api.pages import Items
from burnish.api.problems import RESPONSES
from burnish.kernel.digest import canonical, digest
from burnish.releases.assignment import Assignment, assignment
from burnish.releases.ports import Replica

LOOK_S: Final = 0.05  # between two looks at the database, while a replica waits for news
MAX_WAIT_S: Final = 60.0


class ReplicaReport(msgspec.Struct, kw_only=True):
    """What a replica says of itself."""

    url: str
    models: dict[str, Any]


@get("/v1/serving", opt=REPLICA, responses=RESPONSES)
async def get_serving(
    state: State,
    wait: FromQuery[float] = 0,
    if_none_match: Annotated[
        str | None, HeaderParameter(name="If-None-Match", required=False)
    ] = None,
) -> Response[Assignment | None]:
    """Tell what to serve; with If-None-Match, as soon as it is news or after `wait` seconds."""
    control: Control = state.control
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(wait, MAX_WAIT_S)
    while True:
        document = await asyncio.to_thread(_assignment, control)
        tag = f'"{digest(canonical(document))[-16:]}"'
        if tag != if_none_match:
            return Response(document, headers={"ETag": tag})
        if loop.time() >= deadline or control.draining():
            return Response(None, status_code=304, headers={"ETag": tag})
        await asyncio.sleep(LOOK_S)


@put(
    "/v1/replicas/{replica_id:str}",
    status_code=204,
    opt=REPLICA,
    sync_to_thread=True,
    responses=RESPONSES,
)
def put_replica(
    request: Asked, state: State, replica_id: FromPath[str], data: JSONBody[ReplicaReport]
) -> None:
    """Take what a replica says of itself."""
    control: Control = state.control
    unit = control.units(request.state.actor)
    with unit:
        unit.replicas.report(
            Replica(
                id=replica_id,
                url=data.url,
                models=data.models,
                seen_at=control.clock(),
            )
        )
        unit.commit()


@get("/v1/replicas", sync_to_thread=True, responses=RESPONSES)
def list_replicas(state: State) -> Items[Replica]:
    """List the serving processes."""
    control: Control = state.control
    with control.views() as view:
        return Items(items=view.replicas.list())


def _assignment(control: Control) -> Assignment:
    with control.views() as view:
        return assignment(view)
