"""Release: replicas load the candidate aside; then the pointer moves; then they say they follow."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from burnish.kernel.audit import SYSTEM
from burnish.kernel.clock import Clock
from burnish.kernel.errors import BurnishError
from burnish.kernel.ids import Ids, ReleaseId
from burnish.pipeline import service as runs
from burnish.pipeline.model import OVERRIDE, Run, RunEvent
from burnish.pipeline.ports import Pause, PipelineUnit
from burnish.pipeline.saga import Progress
from burnish.releases import service as releases
from burnish.releases.model import Release, ReleaseEvent, ReleaseState, StaleGeneration
from burnish.releases.ports import Replica

LIVE_FOR: Final = timedelta(seconds=10)  # a replica that said nothing for longer does not count
DEADLINE: Final = timedelta(seconds=120)  # for every replica to load, and again to follow
LOOK_S: Final = 0.05  # between two looks at the replicas
LOOKS: Final = 100  # in one call of the step


class ReleaseRefused(BurnishError):
    """A replica could not load the release, or did not in time; the previous one stays."""

    code = "release.refused"


class ReleaseStep:
    """Takes the candidate of a run into production."""

    def __init__(
        self,
        *,
        units: Callable[[], PipelineUnit],
        views: Callable[[], PipelineUnit],
        clock: Clock,
        ids: Ids,
        pause: Pause,
    ) -> None:
        self._units = units
        self._views = views
        self._clock = clock
        self._ids = ids
        self._pause = pause

    def release(self, run: Run) -> Progress:
        """Look at the release and move it on: open, warm up, promote, be followed."""
        release = self._opened(run)
        if release.state is ReleaseState.READY:
            if not self._until(lambda: self._is_warm(release)):
                return Progress.WAIT
            try:
                release = self._promoted(run, release)
            except StaleGeneration:
                return Progress.WAIT
        if release.state is not ReleaseState.ACTIVE:
            raise ReleaseRefused(f"Release {release.id} is {release.state}.", release=release.id)
        if not self._until(lambda: self._is_followed(release)):
            return Progress.WAIT
        unit = self._units()
        with unit:
            current = unit.runs.get(run.id)
            runs.move(unit, current, RunEvent.SUCCEED, now=self._clock())
            unit.commit()
        return Progress.DONE

    def abandon(self, run: Run, reason: str) -> None:
        """Undo: a release that was not promoted has failed."""
        unit = self._units()
        with unit:
            found = next((r for r in unit.releases.history(run.model) if r.run == run.id), None)
        if found is not None and found.state is ReleaseState.READY:
            releases.abandon(unit, found.id, ReleaseEvent.FAIL, actor=SYSTEM, reason=reason)

    def _opened(self, run: Run) -> Release:
        unit = self._units()
        release = releases.open_release(
            unit,
            id_=ReleaseId(self._ids()),
            model=run.model,
            version=str(run.candidate),
            run=run.id,
            now=self._clock(),
        )
        if run.release != release.id:
            with unit:
                unit.runs.save(replace(unit.runs.get(run.id), release=release.id))
                unit.commit()
        return release

    def _promoted(self, run: Run, release: Release) -> Release:
        unit = self._units()
        with unit:
            generation = unit.models.get(release.model).generation
        reason = f"version {release.model_version} passed its gates"
        if run.cause.rule == OVERRIDE:
            reason = f"version {release.model_version} in spite of its gates: {run.cause.reason}"
        return releases.promote(unit, release.id, expected=generation, actor=SYSTEM, reason=reason)

    def _until(self, condition: Callable[[], bool]) -> bool:
        for _ in range(LOOKS):
            if condition():
                return True
            self._pause(LOOK_S)
        return False

    def _is_warm(self, release: Release) -> bool:
        waiting = []
        for replica in self._live():
            said = replica.models.get(release.model, {})
            if release.id in said.get("failed", {}):
                raise ReleaseRefused(
                    f"Replica {replica.id} cannot load it: {said['failed'][release.id]}",
                    release=release.id,
                    replica=replica.id,
                )
            if release.id not in said.get("loaded", []):
                waiting.append(replica.id)
        self._check_deadline(release, release.created_at, waiting, "load")
        return not waiting

    def _is_followed(self, release: Release) -> bool:
        waiting = []
        for replica in self._live():
            said = replica.models.get(release.model, {})
            serving = said.get("serving") or {}
            if serving.get("generation", 0) < (release.generation or 0):
                waiting.append(replica.id)
        late = release.deployed_at is not None and self._clock() - release.deployed_at > DEADLINE
        return not waiting or late  # a replica that lags is shown and drained, and holds up nobody

    def _live(self) -> list[Replica]:
        with self._views() as view:
            replicas = view.replicas.list()
        return [r for r in replicas if self._clock() - r.seen_at < LIVE_FOR]

    def _check_deadline(
        self, release: Release, since: datetime, waiting: list[str], what: str
    ) -> None:
        if waiting and self._clock() - since > DEADLINE:
            raise ReleaseRefused(
                f"Replicas {', '.join(waiting)} did not {what} it within {DEADLINE.seconds} s.",
                release=release.id,
            )
