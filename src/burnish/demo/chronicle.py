"""The chronicle: every round as the control plane tells of it, not as the plot had hoped."""

import time
from contextlib import suppress
from typing import Any, Final

import msgspec

from burnish.client.api import ApiClient, Unreachable
from burnish.demo.answers import Answer, Identity, summarise
from burnish.demo.application import ANSWER_S
from burnish.demo.follow import PROMOTED, Follower
from burnish.demo.platform import Platform
from burnish.demo.result import Gate, Refused, Result, Rollback, Round, Swap
from burnish.demo.reviewer import Reviewed
from burnish.demo.screen import Screen
from burnish.demo.traffic import Traffic
from burnish.kernel.clock import parse_time

PASSED: Final = "PASS"


class Chronicle:
    """What happened so far, read from outside."""

    def __init__(
        self, model: str, platform: Platform, control: ApiClient, screen: Screen, traffic: Traffic
    ) -> None:
        """Begin with nothing."""
        self._model, self._platform, self._control = model, platform, control
        self._screen, self._traffic = screen, traffic
        self._follower = Follower(control, model, screen, platform.check)
        self._known: set[Identity] = set()
        self._rounds: list[Round] = []
        self._refused: Refused | None = None
        self._rollback: Rollback | None = None
        self._forced_at = 0.0  # monotonic
        self.refused_report: dict[str, Any] | None = None

    def write(self, run: dict[str, Any] | None, accepted: float, reviewed: Reviewed) -> None:
        """Write the next round down; if it made a model, once that has answered.

        `accepted` is when the last correction was accepted, in seconds, monotonic.
        """
        promoted = run is not None and run["state"] == PROMOTED
        loop_seconds = None
        if promoted:
            loop_seconds = round(self._first_answer() - accepted, 2)
            self._screen.say(f"    {loop_seconds:.1f} s from the last correction to its answer")
        else:
            self._screen.say(f"  [yellow]No new model: {failure(run)}")
        self._rounds.append(
            self._round(run or {}, reviewed, promoted=promoted, loop_seconds=loop_seconds)
        )

    def refuse(self, run: dict[str, Any]) -> None:
        """Write down the candidate that its gates kept out."""
        report = self._detail("/v1/evaluations/", run.get("evaluation"))
        gates = msgspec.convert(report["gates"], list[Gate])
        holdout = report["holdout"]
        self._refused = Refused(
            run=run["id"],
            model_version=run["candidate"],
            verdict=report["verdict"],
            holdout_accuracy=holdout["accuracy"],
            champion_accuracy=holdout["champion_accuracy"],
            gates=gates,
            report=report["id"],
        )
        self.refused_report = report
        self._screen.say(f"  [red]Refused[/]: version {run['candidate']}")
        for gate in gates:
            if gate.verdict != PASSED:
                self._screen.say(f"    {gate.gate}: {gate.reason}")

    def forced(self) -> None:
        """Write down that an operator sent the refused candidate to production."""
        self._forced_at = time.monotonic()
        self._first_answer()

    def taken_back(self, bad: dict[str, Any], asked: list[Answer]) -> None:
        """Write down how a release was taken back, once the one before it has answered."""
        event = self._rollback_event()
        decided = parse_time(event["at"]).timestamp() - time.time() + time.monotonic()
        seen = self._first_answer()
        live = self._follower.live(bad["id"])
        since = [one for one in (*self._traffic.answers, *asked) if one.started >= self._forced_at]
        self._rollback = Rollback(
            cause=event["data"]["cause"],
            seconds=round(seen - decided, 3),
            failed=sum(answer.failed for answer in since),
            source=event["data"]["from"]["model_version"],
            target=event["data"]["to"]["model_version"],
            reason=event["data"]["reason"],
            sampled=live["sampled"],
            accuracy=live["accuracy"],
        )
        self._screen.say(
            f"  [red]Rolled back[/] to {self._rollback.target}: {self._rollback.reason}"
        )
        self._screen.say(f"    {self._rollback.seconds:.2f} s from the decision to its answer")

    def result(self, others: list[Answer], wall_seconds: float) -> Result:
        """Add everything up; the traffic must have stopped. `others` are answers beside it."""
        self._note_releases()
        return Result(
            rounds=self._rounds,
            serving=summarise(self._traffic.answers, others, self._known),
            swaps=self._swaps(),
            wall_seconds=round(wall_seconds, 2),
            refused=self._refused,
            rollback=self._rollback,
        )

    def _rollback_event(self) -> dict[str, Any]:
        while True:
            # Without end, unless the control plane is away: then it is asked again.
            with suppress(Unreachable):
                for event in self._control.events(model=self._model, after=0):
                    if event["type"] == "ModelRolledBack":
                        return event
            self._follower.pause()

    def _first_answer(self) -> float:
        """Wait for the first answer of the active release and return when it came, monotonic."""
        self._note_releases()
        active = self._follower.active()
        with self._screen.phase("swapping") as phase:
            seen = self._traffic.first_answer(
                int(active["generation"]), timeout_s=ANSWER_S, meanwhile=self._platform.check
            )
            phase.note = f"version {active['model_version']} answers"
        return seen

    def _round(
        self,
        run: dict[str, Any],
        reviewed: Reviewed,
        *,
        promoted: bool,
        loop_seconds: float | None,
    ) -> Round:
        dataset = self._detail("/v1/datasets/", run.get("dataset"))
        evaluation = self._detail("/v1/evaluations/", run.get("evaluation"))
        holdout = evaluation.get("holdout") or {}
        counts = dataset.get("counts") or {}
        return Round(
            round=len(self._rounds),
            model_version=run.get("candidate"),
            dataset=run.get("dataset"),
            corrections=len(reviewed.corrections),
            train_n=sum((counts.get("train") or {}).values()),
            holdout_accuracy=holdout.get("accuracy"),
            holdout_n=int(holdout.get("n") or 0),
            verdict=evaluation.get("verdict") or run.get("state"),
            train_seconds=self._follower.job_seconds(run),
            loop_seconds=loop_seconds,
            promoted=promoted,
            holdout_low=holdout.get("low"),
            holdout_high=holdout.get("high"),
        )

    def _detail(self, path: str, key: str | None) -> dict[str, Any]:
        return self._control.get(path + key).json() if key else {}

    def _note_releases(self) -> None:
        """Remember which releases there are: only these may ever answer."""
        self._known |= {
            (release["id"], int(release["generation"]), release["model_version"])
            for release in self._control.items("/v1/releases", model=self._model)
            if release.get("generation") is not None
        }

    def _swaps(self) -> list[Swap]:
        """Return every swap that a replica reported, with versions for release ids."""
        versions = {release: version for release, _, version in self._known}
        return [
            Swap(
                source=versions.get(swap.get("from"), swap.get("from")),
                target=versions.get(swap.get("to"), swap.get("to")),
                swap_us=swap.get("swap_us"),
                ready_seconds=swap.get("ready_seconds"),
            )
            for replica in self._control.items("/v1/replicas")
            for swap in replica["models"].get(self._model, {}).get("swaps", [])
        ]


def failure(run: dict[str, Any] | None) -> str:
    """Say in a few words why a run made no model."""
    if run is None:
        return "the trigger did not fire"
    why = run.get("failure") or run.get("failed_step") or ""
    return f"its run ended {run['state']}" + (f": {why}" if why else "")
