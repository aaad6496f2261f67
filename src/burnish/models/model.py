"""A model: a name, the policy it lives under, and the pointer that serving follows."""

from datetime import datetime

from msgspec import Struct

from burnish.kernel.errors import Conflict, NotFound
from burnish.kernel.policy import ModelPolicy


class UnknownModel(NotFound):
    """No model has this name."""

    code = "model.unknown"


class ModelExists(Conflict):
    """The model exists and the change does not say which revision it starts from."""

    code = "request.precondition_required"


class Model(Struct, frozen=True, kw_only=True):
    """A named thing that improves."""

    name: str
    policy: ModelPolicy
    policy_digest: str
    revision: int  # +1 at each change of the policy
    generation: int  # of the active release; 0 before the first
    active_release: str | None
    updated_at: datetime
