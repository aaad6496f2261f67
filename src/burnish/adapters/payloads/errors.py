"""Why a payload could not be had: for one of them, or because its source is down."""

from burnish.datasets.model import Reason
from burnish.kernel.errors import BurnishError


class PayloadUnusable(BurnishError):
    """This payload cannot be had; its record is left out, for the reason that it bears."""

    code = "payload.unusable"

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class PayloadSourceDown(BurnishError):
    """The source does not answer as it should; another attempt may succeed."""

    code = "payload.source_down"
