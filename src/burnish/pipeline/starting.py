"""How a trigger's decision becomes a run: inside the transaction of the decision."""

from burnish.feedback.verdict import Offsets
from burnish.kernel.audit import Actor
from burnish.kernel.clock import Clock
from burnish.kernel.ids import Ids, RunId
from burnish.kernel.policy import ModelPolicy
from burnish.pipeline import service
from burnish.pipeline.model import Cause, RunState
from burnish.pipeline.ports import RunUnit
from burnish.triggers.model import Decision


class RunStarting:
    """Implements `triggers.ports.RunStarter` on a transaction over runs."""

    def __init__(self, unit: RunUnit, *, clock: Clock, ids: Ids) -> None:
        self._unit = unit
        self._clock = clock
        self._ids = ids

    def active(self, model: str) -> RunId | None:
        """Return the run of the model that is under way; a held one gives way to newer data."""
        run = self._unit.runs.active(model)
        return None if run is None or run.state is RunState.HELD else run.id

    def offsets(self, run: RunId) -> Offsets:
        """Return up to where a run has read: beyond its decision's, where it has sources."""
        return self._unit.runs.get(run).offsets

    def start(
        self, policy: ModelPolicy, decision: Decision, offsets: Offsets, *, actor: Actor
    ) -> RunId | None:
        """Write a run's row with its audit and outbox rows; None if one is already active."""
        id_ = RunId(self._ids())
        run = service.start(
            self._unit,
            id_=id_,
            model=policy.name,
            cause=Cause(
                rule=decision.rule, reason=decision.reason, corrections=decision.corrections
            ),
            offsets=offsets,
            trace_id=actor.trace_id or id_.replace("-", ""),
            actor=actor,
            now=self._clock(),
        )
        return None if run is None else run.id
