"""How long an upload has been failing, told to whoever watches."""

import time
from typing import Final

import structlog

from burnish.feedback.ports import Meter

_log = structlog.get_logger("burnish.upload")

ALERT_S: Final = 600.0


class Outage:
    """Counts the failures of one kind of upload; after ten minutes of them it speaks up.

    Args:
        what: is uploaded, as the metrics name it.
        meter: counts.
    """

    def __init__(self, what: str, meter: Meter) -> None:
        self._what, self._meter = what, meter
        self._since: float | None = None
        self._said = False

    def failed(self, error: Exception) -> None:
        """Note a failure, which is retried."""
        self._meter.upload_failed(self._what)
        if self._since is None:
            self._since = time.monotonic()
        seconds = round(self.seconds(), 1)
        if seconds >= ALERT_S and not self._said:
            self._said = True
            _log.critical("upload.failing", what=self._what, error=repr(error), seconds=seconds)
        else:
            _log.warning("upload.retry", what=self._what, error=repr(error), seconds=seconds)

    def over(self) -> None:
        """Note a success."""
        if self._said:
            _log.info("upload.recovered", what=self._what, seconds=round(self.seconds(), 1))
        self._since, self._said = None, False

    def seconds(self) -> float:
        """Return how long it has been failing, 0 if it is not."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
