"""Following one pipeline run from the outside, as an operator would: by reading the control API."""

import time
from collections.abc import Callable
from typing import Any, Final

from burnish.client.api import ApiClient
from burnish.demo.album import DemoError
from burnish.demo.screen import Screen
from burnish.kernel.clock import parse_time

POLL_S: Final = 0.15
RUN_TIMEOUT_S: Final = 240.0

# Where a run comes to rest; HELD and AWAITING_APPROVAL wait for people, whom the story has not.
PROMOTED: Final = "SUCCEEDED"
SETTLED: Final = frozenset(
    {PROMOTED, "FAILED", "REJECTED", "CANCELLED", "SUPERSEDED", "HELD", "AWAITING_APPROVAL"}
)
PHASES: Final = {
    "collect": "collecting",
    "prepare": "building the dataset",
    "train": "training",
    "evaluate": "judging",
    "release": "releasing",
}


class Follower:
    """Watches the runs of one model."""

    def __init__(
        self, control: ApiClient, model: str, screen: Screen, check: Callable[[], None]
    ) -> None:
        """Read from `control`; `check` raises what makes waiting pointless."""
        self._control, self._model, self._screen, self._check = control, model, screen, check

    def model(self) -> dict[str, Any]:
        """Return the model as it stands."""
        return dict(self._control.get(f"/v1/models/{self._model}").json())

    def active(self) -> dict[str, Any]:
        """Return the release that serving follows."""
        return dict(self._control.get(f"/v1/models/{self._model}/release").json())

    def live(self, release: str) -> dict[str, Any]:
        """Return how a release does, by what people say of its answers."""
        releases = self._control.items(f"/v1/models/{self._model}/live")
        return next(one for one in releases if one["release"] == release)

    def runs(self) -> set[str]:
        """Return the ids of every run so far."""
        return {run["id"] for run in self._control.items("/v1/runs", model=self._model, limit=100)}

    def fired(self, before: set[str], *, timeout_s: float) -> str | None:
        """Wait for a run that was not there before and return its id; None if none begins."""
        deadline = time.monotonic() + timeout_s
        with self._screen.phase("persisting") as phase:
            while time.monotonic() < deadline:
                begun = sorted(self.runs() - before)
                decision = self.model().get("last_decision") or {}
                phase.note = str(decision.get("reason", ""))
                phase.show(0.5, phase.note)
                if begun:
                    return begun[0]
                self.pause()
        return None

    def follow(self, run_id: str) -> dict[str, Any]:
        """Show a run step by step until it settles, and return it. Raises DemoError if it does not.

        The screen shows the step under way; one quicker than a look leaves its line too.
        """
        deadline = time.monotonic() + RUN_TIMEOUT_S
        told: set[str] = set()
        while True:
            run = self._run(run_id)
            for step in run["steps"]:
                if step.get("ended_at") and step["step"] not in told:
                    told.add(step["step"])
                    self._screen.done(_name(step), _seconds(step) or 0.0)
            if run["state"] in SETTLED:
                return run
            current = [step for step in run["steps"] if not step.get("ended_at")]
            if current and current[-1]["step"] not in told:
                told.add(current[-1]["step"])
                self._watch(run_id, current[-1]["step"], deadline)
            else:
                self.pause()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Run {run_id} is still {run['state']} after {RUN_TIMEOUT_S:.0f} s."
                )

    def job_seconds(self, run: dict[str, Any]) -> float | None:
        """Return how long a run's training job took; None if it had none or has not ended."""
        if not run.get("job"):
            return None
        job = self._control.get(f"/v1/jobs/{run['job']}").json()
        return _between(job.get("started_at"), job.get("completed_at"))

    def pause(self) -> None:
        """Wait a moment. Raises DemoError if waiting is pointless."""
        self._check()
        time.sleep(POLL_S)

    def _watch(self, run_id: str, name: str, deadline: float) -> None:
        with self._screen.phase(PHASES.get(name, name)) as phase:
            while time.monotonic() < deadline:
                run = self._run(run_id)
                step: dict[str, Any] = next(
                    (one for one in run["steps"] if one["step"] == name), {}
                )
                if step.get("ended_at") or run["state"] in SETTLED:
                    break
                if name == "train" and run.get("job"):
                    job = self._control.get(f"/v1/jobs/{run['job']}").json()
                    phase.show(job.get("progress") or 0.0, f"attempt {job.get('attempt')}")
                self.pause()

    def _run(self, run_id: str) -> dict[str, Any]:
        return dict(self._control.get(f"/v1/runs/{run_id}").json())


def _name(step: dict[str, Any]) -> str:
    name: str = step["step"]
    return PHASES.get(name, name)


def _seconds(step: dict[str, Any]) -> float | None:
    return _between(step.get("started_at"), step.get("ended_at"))


def _between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return round((parse_time(end) - parse_time(start)).total_seconds(), 3)
