"""The alert on live accuracy, as triggers see it."""

from burnish.monitoring.ports import MonitorUnit
from burnish.monitoring.service import ACCURACY_LOW
from burnish.triggers.model import Alert


class LiveAlarm:
    """Implements `triggers.ports.Alarm` on a transaction over releases.

    An alert is told once for each promotion of a release. It stands for as long as that release
    serves: what was told is known, and later verdicts do not unsay it.
    """

    def __init__(self, unit: MonitorUnit) -> None:
        self._unit = unit

    def raised(self, model: str) -> Alert | None:
        """Return the alert on the release that the model serves now, if one was raised."""
        release = self._unit.releases.active(model)
        if release is None or release.generation is None:
            return None
        for event in self._unit.notices.published(ACCURACY_LOW, release.id):
            if event.data.get("generation") == release.generation:
                reason = str(event.data.get("reason", ""))
                return Alert(release=release.id, generation=release.generation, reason=reason)
        return None
