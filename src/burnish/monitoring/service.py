"""Watching the releases that serve: people are told, and a bad one gives way to the one before."""

from collections.abc import Callable
from typing import Any, Final

from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import SYSTEM
from burnish.kernel.ids import ReleaseId
from burnish.models.model import Model
from burnish.monitoring import model as rules
from burnish.monitoring.model import Evidence, Live
from burnish.monitoring.ports import MonitorUnit
from burnish.releases import service as releases
from burnish.releases.model import NothingToRollBackTo, RollbackCause, StaleGeneration

ACCURACY_LOW: Final = "LiveAccuracyLow"
ROLLBACK_FAILED: Final = "RollbackFailed"
SHOWN: Final = 10  # releases of a model, the newest promoted first

Units = Callable[[], MonitorUnit]


def live(unit: MonitorUnit, model: str) -> list[Live]:
    """Return how the newest releases of a model do, inside the caller's transaction.

    The release promoted last comes first. Raises UnknownModel.
    """
    policy = unit.models.get(model).policy.monitor
    promoted = [release for release in unit.releases.history(model) if release.generation]
    promoted.sort(key=lambda release: release.generation or 0, reverse=True)
    return [
        rules.live(release, unit.outcomes.tally(model, release.id, release.generation or 0), policy)
        for release in promoted[:SHOWN]
    ]


class Monitor:
    """Looks at what serves, and acts on it; keeps nothing that it could not find out again."""

    def __init__(self, *, units: Units, views: Units) -> None:
        self._units = units
        self._views = views
        self._seen: Offsets | None = None
        self._told: set[tuple[str, ReleaseId, int]] = set()  # spares a search at every look

    def look(self, *, anyway: bool = False) -> None:
        """Watch every model, if feedback has come since the last look, or `anyway`."""
        with self._views() as view:
            offsets = view.feedback.offsets()
            models = view.models.list()
        if offsets == self._seen and not anyway:
            return
        self._seen = offsets
        errors = []
        for model in models:
            try:
                self.watch(model)
            except Exception as error:  # noqa: BLE001  the others want watching no less
                errors.append(error)
        if errors:
            raise ExceptionGroup("some models could not be watched", errors)

    def watch(self, model: Model) -> None:
        """Judge the release that a model serves now, by what people said of its own answers."""
        policy = model.policy.monitor
        with self._views() as view:
            release = view.releases.active(model.name)
            if release is None or release.generation is None:
                return
            tally = view.outcomes.tally(model.name, release.id, release.generation)
        found = rules.live(release, tally, policy)
        if found.rollback.crossed or found.alert.crossed:
            crossed = found.alert if found.alert.crossed else found.rollback
            self._tell(ACCURACY_LOW, model.name, found, crossed, rules.sentence(found, crossed))
        if found.rollback.crossed:
            self._roll_back(model.name, found)

    def _roll_back(self, model: str, found: Live) -> None:
        reason = rules.sentence(found, found.rollback)
        try:
            releases.rollback(
                self._units(),
                model,
                expected=found.generation,
                actor=SYSTEM,
                reason=reason,
                cause=RollbackCause.LIVE_ACCURACY,
            )
        except StaleGeneration:
            return  # somebody else has moved the pointer: these outcomes are of the past
        except NothingToRollBackTo as error:
            self._tell(ROLLBACK_FAILED, model, found, found.rollback, f"{error.detail} {reason}")

    def _tell(self, type_: str, model: str, found: Live, crossed: Evidence, reason: str) -> None:
        """Publish an event, once for each time that a release was promoted."""
        key = (type_, found.release, found.generation)
        if key in self._told:
            return
        with self._views() as view:
            known = _is_published(view, type_, found)
        if not known:
            unit = self._units()
            with unit:
                # The audit row comes first: it makes other writers wait until we know.
                unit.audit.record(
                    SYSTEM,
                    _ACTIONS[type_],
                    f"release:{found.release}",
                    after=_figures(found, crossed),
                    reason=reason,
                )
                if not _is_published(unit, type_, found):
                    data = {**_figures(found, crossed), "reason": reason}
                    unit.outbox.publish(type_, model, found.release, data)
                    unit.commit()
        self._told.add(key)


_ACTIONS: Final = {
    ACCURACY_LOW: "release.accuracy_low",
    ROLLBACK_FAILED: "release.rollback_failed",
}


def _is_published(unit: MonitorUnit, type_: str, found: Live) -> bool:
    events = unit.notices.published(type_, found.release)
    return any(event.data.get("generation") == found.generation for event in events)


def _figures(found: Live, crossed: Evidence) -> dict[str, Any]:
    return {
        "model_version": found.model_version,
        "generation": found.generation,
        "accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
        "at_most": found.at_most,
        "outcomes": found.outcomes,
        "sampled": found.sampled,
        "predictions": found.predictions,
        "line": crossed.line,
        "wealth": max(crossed.sampled, crossed.reported),
        "needed": crossed.needed,
    }
