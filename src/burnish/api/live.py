"""Live accuracy over HTTP: what people's verdicts say about each release."""

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath
from msgspec import Struct

from burnish.api.control import Control
from burnish.api.problems import RESPONSES
from burnish.monitoring import service
from burnish.monitoring.model import Live


class LiveView(Struct, kw_only=True):
    """How the releases of a model do; the one promoted last comes first."""

    model: str
    alert: float  # lines of live accuracy; 0: none
    rollback: float
    min_outcomes: int
    items: list[Live]


@get("/v1/models/{name:str}/live", sync_to_thread=True, responses=RESPONSES)
def get_live(state: State, name: FromPath[str]) -> LiveView:
    """Show the live accuracy of a model's newest releases, and the evidence against each."""
    control: Control = state.control
    with control.views() as view:
        policy = view.models.get(name).policy.monitor
        return LiveView(
            model=name,
            alert=policy.alert,
            rollback=policy.rollback,
            min_outcomes=policy.min_outcomes,
            items=service.live(view, name),
        )
